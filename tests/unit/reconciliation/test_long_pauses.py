"""Which pauses `reconcile` lifts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backuppc_register.backuppc import hosts
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.backuppc.daemon.pauses import Pauses
from backuppc_register.reconciliation import long_pauses
from backuppc_register.reconciliation.long_pauses import LongPause
from backuppc_register.reconciliation.report import Word

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
BOUND = NOW + timedelta(days=30)
CENTURY = datetime(2126, 11, 6, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> hosts.HostsFile:
    lines = b"host\tdhcp\tuser\tmoreUsers\ndormeur\t0\tcmartin\nsimplet 0 adupont\n"
    (tmp_path / "hosts").write_bytes(lines)
    return hosts.read(tmp_path / "hosts")


@pytest.mark.parametrize(
    ("end", "longest", "found"),
    [
        (CENTURY, 30, True),
        (datetime(9999, 1, 1, tzinfo=UTC), 30, True),
        (BOUND + timedelta(seconds=1), 30, True),
        (BOUND, 30, False),  # exactly what the site allows
        (NOW + timedelta(hours=2), 30, False),
        (NOW - timedelta(days=1), 30, False),
        (None, 30, False),
        (NOW + timedelta(days=1, seconds=1), 1, True),
        (CENTURY, 0, False),  # 0: none is too long
    ],
)
def test_a_pause_is_lifted_if_it_ends_beyond_the_bound(
    file: hosts.HostsFile, end: datetime | None, longest: int, found: bool
) -> None:
    pauses = [*long_pauses.find(file, Pauses({"dormeur": end}), longest, NOW)]

    assert [(pause.host, pause.person, pause.end) for pause in pauses] == [
        ("dormeur", "cmartin", end)
    ] * found


def test_of_a_host_that_backuppc_did_not_answer_for_nothing_is_lifted(file: hosts.HostsFile) -> None:
    assert [*long_pauses.find(file, Pauses({}, "BackupPC is not running"), 30, NOW)] == []


def test_a_pause_that_cannot_be_lifted_is_told_with_the_reason() -> None:
    item = long_pauses.lift(LongPause("dormeur", "cmartin", CENTURY, 30), Jobs(""))

    assert (item.word, item.host, item.person) == (Word.PAUSE_NOT_LIFTED, "dormeur", "cmartin")
    assert item.what.endswith("until 2126-11-06 on BackupPC's page, and still are: BackupPC is not running")
