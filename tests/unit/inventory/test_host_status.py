"""A host's status on real files: what is read at once, and what at the first question."""

import pytest
import verbs
from server_folder import ADUPONT, ARCHIVE, ByHand, Site

from backuppc_register.inventory import host_status
from backuppc_register.protocol.errors import StateError


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def status_of(site, host="dormeur"):
    return host_status.read(host, site.server())


def test_a_request_of_a_known_host_reads_no_snapshot_and_no_former_owners(site):
    for name in ("ledger", "former_owners"):
        (site.folder / "state" / name).write_text("rubbish")

    status = status_of(site)

    assert (status.line.user, status.record.person, status.backups) == ("cmartin", "cmartin", True)
    assert (status.folder, status.reserved, status.overriding) == (True, True, None)
    with pytest.raises(StateError):
        status.owner  # noqa: B018
    with pytest.raises(StateError):
        status.last_seen  # noqa: B018


def test_a_host_that_was_never_seen_has_nothing(site):
    status = status_of(site, "calmar")

    assert (status.lines, status.line, status.owner, status.record) == ((), None, "", None)
    assert (status.folder, status.config, status.reserved, status.backups) == (False, None, False, False)
    assert (status.key_in_use, status.extent.backups, status.last_seen) == (False, 0, None)


def test_the_line_decides_who_the_owner_is(site):
    site.hosts.write_text(site.hosts.read_text().replace("cmartin", "bdurand"))

    assert status_of(site).owner == "bdurand"


def test_a_line_that_was_reverted_to_a_former_owner_does_not_change_the_owner(site):
    verbs.transfer("dormeur", ADUPONT, site.custody())
    site.hosts.write_text(site.hosts.read_text().replace("dormeur\t0\tadupont", "dormeur\t0\tcmartin"))

    assert status_of(site).owner == "adupont"
    assert status_of(site, ARCHIVE).owner == "cmartin"


def test_a_manually_added_host_has_a_minimal_record(tmp_path):
    status = status_of(ByHand(tmp_path))

    assert (status.record, status.recorded.host, status.recorded.person) == (None, "dormeur", "cmartin")
    assert status.recorded.by_hand


def test_what_was_read_stays_although_the_files_change(site):
    status = status_of(site)
    assert (status.extent.backups, status.owner) == (1, "cmartin")

    (site.folder / "data/pc/dormeur/backups").unlink()
    verbs.retire("dormeur", site.custody())

    assert (status.extent.backups, status.record.retired) == (1, "")
