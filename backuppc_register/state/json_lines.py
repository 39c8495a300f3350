"""Read and write a file of one JSON object per line, after a first line with its format."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from backuppc_register.protocol.errors import StateError
from backuppc_register.state import safe_files
from backuppc_register.system import atomic_files

_Row = TypeVar("_Row")
_HEAD = {"format": 1}


def read(path: Path, parse: Callable[[Any], _Row]) -> list[_Row]:
    """Return what *parse* makes of each row of the file at *path*, nothing if there is no file.

    Raises StateError if the file cannot be read or understood.
    """
    content = safe_files.content(path)
    if content is None:
        return []
    try:
        head, *rows = content.decode("ascii").removesuffix("\n").split("\n")
        if json.loads(head) != _HEAD:
            raise ValueError(f"its format is not {_HEAD['format']}")
        return [parse(json.loads(row)) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(detail=f"{path} cannot be understood: {error}") from error


def write(path: Path, rows: Iterable[object]) -> None:
    """Replace the file at *path*, complete on disk or not at all; raises StateError."""
    content = "".join(json.dumps(row) + "\n" for row in (_HEAD, *rows))
    with safe_files.faults():
        atomic_files.write(path, content.encode("ascii"), 0o640)
