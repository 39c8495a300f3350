"""Who may have a host: the decision table of the rules that protect people's data."""

from dataclasses import replace
from pathlib import Path

import pytest

from backuppc_register.backuppc import hosts
from backuppc_register.inventory.host_status import HostStatus
from backuppc_register.inventory.ownership import Applicant, Claim, judge
from backuppc_register.person import Person
from backuppc_register.protocol.errors import InvalidDnsName, OtherOwner
from backuppc_register.state.records import Record

APPLICANT = Applicant(
    host="dormeur",
    full_name="dormeur.univ-brest.fr",
    person=Person("cmartin", "Christophe Martin", "entryUUID:1"),
    logon="CMartin",
    os="mac",
    address="10.0.0.9",
)
RECORD = Record(
    host="dormeur",
    full_name="dormeur.univ-brest.fr",
    person="cmartin",
    entry="entryUUID:1",
    os="mac",
    address="10.0.0.9",
    registered="2026-11-22T12:00:00+00:00",
    config="",
)
BY_HAND = replace(RECORD, full_name="", entry="", os="", address="", registered="")  # retired as it stood
MINE = "dormeur\t0\tcmartin"


@pytest.fixture
def status(tmp_path: Path):
    def make(*lines: str, record: Record | None = None, backups: bool = False, config: bytes | None = None):
        path = tmp_path / "hosts"
        path.write_text("host dhcp user moreUsers\n" + "".join(line + "\n" for line in lines))
        return HostStatus(
            host="dormeur",
            server=None,  # of which nothing is asked
            hosts=hosts.read(path),
            record=record,
            folder=record is not None,
            config=config,
            reserved=config is not None,
            backups=backups,
        )

    return make


@pytest.mark.parametrize(
    ("lines", "record", "backups", "claim"),
    [
        ((), None, False, Claim.FREE),
        (("lab10 0 adupont", "dormeur2 0 adupont", "xdormeur 0 adupont"), None, False, Claim.FREE),
        ((), replace(RECORD, person="adupont"), False, Claim.FREE),
        ((), replace(RECORD, entry="entryUUID:2"), False, Claim.FREE),
        ((), replace(RECORD, full_name="dormeur.iuem.univ-brest.fr"), False, Claim.FREE),
        ((), RECORD, False, Claim.KNOWN),
        ((), RECORD, True, Claim.KNOWN),
        ((MINE,), RECORD, True, Claim.KNOWN),
        ((MINE,), replace(RECORD, entry=""), True, Claim.KNOWN),
        (("DORMEUR 0 CMARTIN adupont",), RECORD, False, Claim.KNOWN),
        ((MINE, MINE), RECORD, False, Claim.KNOWN),
        ((MINE,), None, True, Claim.TAKEN_OVER),
        ((MINE,), None, False, Claim.TAKEN_OVER),
        ((MINE,), replace(RECORD, person="adupont"), True, Claim.TAKEN_OVER),
        ((MINE,), BY_HAND, True, Claim.TAKEN_OVER),
        ((MINE,), replace(BY_HAND, entry="entryUUID:1"), True, Claim.TAKEN_OVER),
        ((MINE,), replace(BY_HAND, person=""), True, Claim.TAKEN_OVER),
        ((), BY_HAND, False, Claim.FREE),
    ],
)
def test_who_may_have_the_host_and_in_which_sense(status, lines, record, backups, claim):
    assert judge(APPLICANT, status(*lines, record=record, backups=backups)) is claim


@pytest.mark.parametrize(
    ("lines", "record", "backups"),
    [
        (("dormeur 0 adupont",), None, False),
        (("Dormeur 0 adupont cmartin",), None, False),
        (("dormeur 0 adupont",), RECORD, True),
        (("dormeur 0 cmartin2",), None, False),
        (("dormeur 0",), None, False),
        (("dormeur 0 \u017fmartin",), None, False),
        ((MINE, "dormeur 0 adupont"), RECORD, False),
        (("dormeur 0 adupont", MINE), RECORD, False),
        ((MINE,), replace(RECORD, entry="entryUUID:2"), False),
        ((MINE,), replace(RECORD, full_name="dormeur.iuem.univ-brest.fr"), False),
        ((MINE,), replace(BY_HAND, entry="entryUUID:2"), True),
        (("dormeur 0 adupont",), BY_HAND, True),
        ((), BY_HAND, True),
        ((), None, True),
        ((), replace(RECORD, person="adupont"), True),
        ((), replace(RECORD, entry="entryUUID:2"), True),
        ((), replace(RECORD, full_name="dormeur.iuem.univ-brest.fr"), True),
    ],
)
def test_who_is_refused(status, lines, record, backups):
    with pytest.raises(OtherOwner) as refusal:
        judge(APPLICANT, status(*lines, record=record, backups=backups))

    assert refusal.value.message() == "refusing to re-register client host with username : dormeur CMartin"


def test_a_config_without_line_data_or_record_reserves_the_name(status):
    with pytest.raises(InvalidDnsName):
        judge(APPLICANT, status(config=b"# an administrator's include file"))


def test_a_config_of_a_host_that_we_made_reserves_nothing(status):
    assert judge(APPLICANT, status(record=RECORD, config=b"1;")) is Claim.KNOWN
    theirs = replace(RECORD, person="adupont")
    assert judge(APPLICANT, status(record=theirs, config=b"1;")) is Claim.FREE
