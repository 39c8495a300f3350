"""Files of one JSON object per line, with their format first."""

from pathlib import Path

import pytest

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import json_lines


def test_rows_come_back_in_their_order_after_a_line_with_the_format(tmp_path: Path) -> None:
    path = tmp_path / "file"

    json_lines.write(path, [{"host": "b", "users": ["é"]}, {"host": "a"}])

    assert path.read_bytes().startswith(b'{"format": 1}\n{"host": "b"')
    assert json_lines.read(path, lambda row: row["host"]) == ["b", "a"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert json_lines.read(tmp_path / "file", str) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b'{"format": 2}\n',
        b"[]\n",
        b'{"format": 1}\n{',
        b'{"format": 1}\n\n',
        b"\xff",
        b"[" * 200_000,
    ],
    ids=range(8),
)
def test_a_file_that_cannot_be_understood_is_a_fault(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(StateError, match=r"file cannot be understood"):
        json_lines.read(path, dict)


def test_a_row_that_lacks_something_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "file"
    json_lines.write(path, [{}])

    with pytest.raises(StateError, match="cannot be understood"):
        json_lines.read(path, lambda row: row["host"])
