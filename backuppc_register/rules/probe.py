"""What a machine's rsyncsend.sh answers to the command `probe`, and whether a backup would work; pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backuppc_register.network.connect_back import Answer
from backuppc_register.steps import Step, failed

COMMAND = "probe"

_LONGEST = 200  # characters of what a machine says that we repeat
_REFUSED = 64
_UNAVAILABLE = 69  # sysexits.h: what rsyncsend.sh ends with where something is missing
_MOST_TRIED = 20
_PLAIN = re.compile(r"/[\w@%+=:,./~-]*")
_FULL_DISK_ACCESS = (
    "System Settings, General, Sharing, the (i) of Remote Login: switch on Full Disk Access for remote users."
)


@dataclass(frozen=True)
class Told:
    """What a machine tells: its system (uname -s), its rsync's version, folders that can be read or not."""

    system: str
    rsync: str
    readable: tuple[str, ...]
    unreadable: tuple[str, ...]


def judge(host: str, answer: Answer, shares: Sequence[str]) -> Told:
    """Return what the machine tells, where a backup of *shares* (folders) would work.

    Raises NotReachable, with the step that would fail.
    """
    told = _read(answer.output)
    if answer.status != 0 or not told.rsync:
        said = answer.complaint.strip() or answer.output.strip()
        detail = f"exit status {answer.status}: {said[-_LONGEST:]}"
        raise failed(_failing_step(answer), host, detail=detail)
    if told.rsync == "?":
        raise failed(Step.RSYNC, host, detail="it does not tell its version")
    for share in shares:
        _refuse_closed(host, share, told, answer.complaint.strip()[-_LONGEST:])
    return told


def to_try(told: Told, shares: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield those of *shares* that the machine has not named, each with a command that begins its backup.

    Without an rsync at our end it sends nothing. What cannot stand in a command is not tried.
    """
    named = {folder.rstrip("/") for folder in told.readable}
    unnamed = [share for share in shares if share.rstrip("/") not in named and _PLAIN.fullmatch(share)]
    for share in unnamed[:_MOST_TRIED]:
        yield share, f"rsync --server --sender -logDtpre.iLsfxC --numeric-ids . {share.rstrip('/')}/"


def refuse_closed(host: str, share: str, answer: Answer) -> None:
    """Refuse a *share* whose backup rsyncsend.sh does not begin; raises NotReachable."""
    steps = {_REFUSED: Step.SHARE, _UNAVAILABLE: Step.FOLDER}
    if answer.status in steps:
        said = answer.complaint.strip()[-_LONGEST:]
        raise failed(steps[answer.status], host, what=share, detail=f"exit status {answer.status}: {said}")


def _read(output: str) -> Told:
    values: dict[str, list[str]] = {}
    for line in output.split("\n"):
        keyword, colon, value = line.partition(":")
        if colon:
            values.setdefault(keyword, []).append(value.strip()[:_LONGEST])
    return Told(
        system=values.get("system", [""])[-1],
        rsync=values.get("rsync", [""])[-1],
        readable=tuple(values.get("share", ())),
        unreadable=tuple(values.get("unreadable", ())),
    )


def _failing_step(answer: Answer) -> Step:
    if answer.status == _UNAVAILABLE and "rsync" in answer.complaint:
        return Step.RSYNC
    return Step.SUDO if "sudo" in answer.complaint else Step.WRAPPER


def _refuse_closed(host: str, share: str, told: Told, complaint: str) -> None:
    if any(_is_in(share, folder) for folder in told.unreadable):
        advice = _FULL_DISK_ACCESS if told.system == "Darwin" else ""
        raise failed(Step.FOLDER, host, what=share, advice=advice, detail=complaint)
    if not any(_is_in(share, folder) for folder in told.readable):
        offered = ", ".join(told.readable) or "nothing"
        raise failed(Step.SHARE, host, what=share, detail=f"it gives {offered}")


def _is_in(share: str, folder: str) -> bool:
    return f"{share.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
