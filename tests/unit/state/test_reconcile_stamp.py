"""When `reconcile` last completed: written whole, never guessed."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import reconcile_stamp

NOON = datetime(2026, 11, 30, 12, 0, 7, 250, tzinfo=UTC)


def test_what_is_written_is_read_in_utc_and_in_whole_seconds(tmp_path: Path) -> None:
    reconcile_stamp.write(tmp_path, NOON.astimezone(timezone(timedelta(hours=2))))

    assert (tmp_path / reconcile_stamp.NAME).read_text() == "2026-11-30T12:00:07+00:00\n"
    assert reconcile_stamp.read(tmp_path) == NOON.replace(microsecond=0)


def test_none_before_the_first_run(tmp_path: Path) -> None:
    assert reconcile_stamp.read(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-30T12:00:07", "2026-13-01T00:00:00+00:00", "\xff"]
)
def test_what_is_no_time_is_a_fault_and_not_never(tmp_path: Path, text: str) -> None:
    (tmp_path / reconcile_stamp.NAME).write_text(text, "latin-1")

    with pytest.raises(StateError, match=r"reconciled has"):
        reconcile_stamp.read(tmp_path)


def test_a_link_in_its_place_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / reconcile_stamp.NAME).symlink_to("/dev/null")

    with pytest.raises(StateError):
        reconcile_stamp.read(tmp_path)


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StateError):
        reconcile_stamp.write(tmp_path / "away", NOON)
