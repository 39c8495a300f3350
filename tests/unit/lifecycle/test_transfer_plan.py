"""A transfer to another logon of the host's own person, or to a person with a new logon."""

from dataclasses import replace

import pytest
from server_folder import ADUPONT, CMARTIN, Site

from backuppc_register.lifecycle import transfer, transfer_to_administrators
from backuppc_register.lifecycle.operation import Refused

ALIAS = replace(CMARTIN, uid="claire.martin", others=("cmartin",))
RENAMED = replace(CMARTIN, uid="claire.martin")
STRANGER = replace(CMARTIN, uid="claire.martin", entry_id="entryUUID:9")


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def given(site, person):
    """Transfer the host to *person* as an administrator does; return the plan."""
    plan = transfer.plan("dormeur", person, site.custody())
    transfer.apply(plan, site.custody())
    return plan


@pytest.mark.parametrize("person", [ALIAS, RENAMED])
def test_the_same_entry_keeps_backups_and_key_and_gets_the_line(site, person):
    plan = given(site, person)

    assert "claire.martin's again, with its backups, key and settings" in plan.steps[0]
    assert site.users() == {"dormeur": "claire.martin"}
    assert site.record().person == "claire.martin"
    assert site.readers() == {"claire.martin"}
    assert site.contradictions() == []
    assert site.reconcile() == []
    with pytest.raises(Refused, match="already"):
        given(site, person)


def test_another_entry_gets_the_machine_and_no_backups(site):
    given(site, STRANGER)

    assert site.readers() == {"cmartin"}


def test_a_restricted_host_does_not_return_with_its_backups_to_the_entry_of_its_record(site):
    restricting = transfer_to_administrators.plan("dormeur", site.custody())
    transfer_to_administrators.apply(restricting, site.custody())

    given(site, RENAMED)

    assert site.readers() == {"backuppc"}


def test_a_host_that_was_given_away_does_not_return_with_its_new_owners_backups(site):
    given(site, ADUPONT)
    (site.folder / "data/pc/dormeur/0").mkdir(parents=True)

    given(site, RENAMED)

    assert not (site.folder / "data/pc/dormeur/0").exists()
