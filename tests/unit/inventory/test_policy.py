"""What a site allows beyond the rules."""

import pytest

from backuppc_register.backuppc import hosts
from backuppc_register.config import Limits
from backuppc_register.inventory import policy
from backuppc_register.person import Person
from backuppc_register.protocol.errors import BadUser, NotAllowed


def find(logon):
    return Person({"Bpc.alias": "bpc"}.get(logon, logon.lower()))


@pytest.mark.parametrize("logon", ["backuppc", "BackupPC", "bpc", "Bpc.alias"])
def test_backuppcs_own_account_is_no_person(logon):
    with pytest.raises(BadUser):
        policy.find_person(logon, find, "bpc")


@pytest.mark.parametrize("logon", ["backuppc2", "CMartin", "backupp"])
def test_other_logons_are_people(logon):
    assert policy.find_person(logon, find, "bpc") == Person(logon.lower())


@pytest.fixture
def two_of_cmartin(tmp_path):
    path = tmp_path / "hosts"
    lines = ["a 0 cmartin", "b 0 CMartin", "B 0 cmartin", "c 0 adupont cmartin", "a_20261122 0 cmartin"]
    path.write_text("\n".join(["host dhcp user moreUsers", *lines, ""]))
    return hosts.read(path)


@pytest.mark.parametrize("most", [1, 2])
def test_a_person_with_as_many_hosts_as_the_site_allows_gets_no_further_one(two_of_cmartin, most):
    with pytest.raises(NotAllowed, match=f"refused by this site : {most} machines at the most for a person"):
        ask(two_of_cmartin, most)


@pytest.mark.parametrize("most", [0, 3])
def test_below_the_quota_or_without_one_there_is_no_refusal(two_of_cmartin, most):
    ask(two_of_cmartin, most)


def test_what_is_retired_does_not_count_nor_does_the_host_itself(two_of_cmartin):
    ask(two_of_cmartin, 2, retired={"a"})
    ask(two_of_cmartin, 2, host="b")
    with pytest.raises(NotAllowed):
        ask(two_of_cmartin, 1, host="a", retired={"a"})


def ask(known, most, host="d", retired=()):
    """Ask for a further host for cmartin, where *most* are allowed."""
    limits = Limits(hosts_per_person=most)
    policy.refuse_one_too_many(Person("cmartin"), host, known, limits, lambda one: one in retired)
