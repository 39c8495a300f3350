"""Run a function as BackupPC's account, in a child of a program that stays root."""

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
    """Run *work* in a child that has become the owner of *folder*; return its result.

    The result comes as JSON, because nothing from that account may run as root. Raises the RegisterError that
    *work* raises.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _child(folder, work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        output = pipe.read()
    _, status = os.waitpid(child, 0)
    return _result(output, os.waitstatus_to_exitcode(status))


def _child(folder: Path, work: Callable[[], Any], writing: int) -> None:
    try:
        become_owner(folder)
        answer: dict[str, Any] = {"result": work()}
    except RegisterError as error:
        answer = {"error": type(error).__name__, "detail": error.detail, "values": error.values}
    except BaseException:
        answer = {"error": "Internal", "detail": traceback.format_exc(), "values": {}}
    output = json.dumps(answer).encode("ascii")
    try:
        while output:
            output = output[os.write(writing, output) :]
    finally:
        os._exit(0)


def _result(output: bytes, status: int) -> Any:
    try:
        answer = json.loads(output)
    except ValueError as error:
        how = f"by signal {-status}" if status < 0 else f"with exit status {status}"
        detail = f"the child process with BackupPC's account died {how}, after {output[-200:]!r}"
        raise Internal(detail=detail) from error
    if "error" in answer:
        kind = (
            WrongAccount if answer["error"] == "WrongAccount" else getattr(errors, answer["error"], Internal)
        )
        raise kind(detail=answer["detail"], **answer["values"])
    return answer["result"]
