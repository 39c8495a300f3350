"""Work done as BackupPC's account by a program that stays root itself."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backuppc_register.protocol import errors
from backuppc_register.protocol.errors import Internal, RegisterError
from backuppc_register.system.account import WrongAccount, become_owner


def run_as_owner(folder: Path, work: Callable[[], Any]) -> Any:
    """Do *work* in a child that has become the owner of *folder*; return what it returns, through JSON.

    Raises what the work raises of ours; JSON, because what that account says must not run here.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _child(folder, work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return _result(said)


def _child(folder: Path, work: Callable[[], Any], writing: int) -> None:
    try:
        become_owner(folder)
        told: dict[str, Any] = {"result": work()}
    except RegisterError as error:
        told = {"error": type(error).__name__, "detail": error.detail, "values": error.values}
    except BaseException:
        told = {"error": "Internal", "detail": traceback.format_exc(), "values": {}}
    said = json.dumps(told).encode("ascii")
    try:
        while said:
            said = said[os.write(writing, said) :]
    finally:
        os._exit(0)


def _result(said: bytes) -> Any:
    try:
        told = json.loads(said)
    except ValueError as error:
        raise Internal(detail="the child that works as BackupPC's account died") from error
    if "error" in told:
        kind = WrongAccount if told["error"] == "WrongAccount" else getattr(errors, told["error"], Internal)
        raise kind(detail=told["detail"], **told["values"])
    return told["result"]
