"""What a machine's rsyncsend.sh answers to the command `probe`, and whether a backup would work; pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.network.rsync_handshake import GREETING, has_file, has_folder
from backuppc_register.network.ssh import Answer
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system.processes import ProgramResult

COMMAND = "probe"

_FIRST = "version:"  # what rsyncsend.sh's answer begins with
_LONGEST = 200  # characters of what a machine says that we repeat
_MOST_TOLD = 5  # folders, in advice
_DIGITS = 6
_REFUSED = 64
_UNAVAILABLE = 69  # sysexits.h: what rsyncsend.sh ends with where something is missing
_SSH_FAILED = 255
_LISTED = {0, 23, 24}  # rsync(1): all, or all but what could not be read or went away meanwhile
_PROTOCOLS = range(20, 41)
_HUNG_UP = re.compile(r"kex_exchange_identification|connection (closed|reset|refused|timed out)", re.I)
_WHO_HANGS_UP = {
    Cause.HUNG_UP: "sshd",
    Cause.ELSEWHERE: "ssh with the options of RsyncSshArgs does not get in",
}
# What rsyncsend.sh refuses a folder with; all else that it refuses is options.
_ABOUT_THE_FOLDER = re.compile(r"is not in a folder that|leads? (out of|to) |not a plain absolute path")
_FULL_DISK_ACCESS = (
    "System Settings, General, Sharing, the (i) of Remote Login: switch on Full Disk Access for remote users."
)


@dataclass(frozen=True)
class Told:
    """What a machine tells: its system (uname -s), its rsync's version, folders that can be read or not.

    *closed* and *mounted*: those of the folders in its shares that cannot be read, or are on other file
    systems; *folders*: how many there are in each share. All three as far as it has looked.
    """

    system: str
    rsync: str
    readable: tuple[str, ...]
    unreadable: tuple[str, ...]
    closed: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    folders: dict[str, int] = field(default_factory=dict)


def judge(host: str, answer: Answer, transfers: Sequence[Transfer]) -> Told:
    """Return what the machine tells, where the backups of the *transfers* would work.

    Raises NotReachable, with the step that would fail.
    """
    told = _read(answer.output)
    head, mark, _ = answer.output.partition(_FIRST)
    if answer.status == 0 and mark and head:
        raise not_reachable(Cause.UNCLEAN, host, what=head.strip().partition("\n")[0][:_LONGEST])
    if answer.status != 0 or not mark or not told.rsync:
        said = answer.errors.strip() or answer.output.strip()
        detail = f"exit status {answer.status}: {said[-_LONGEST:]}"
        raise not_reachable(_failing_step(answer), host, detail=detail)
    if told.rsync == "?":
        raise not_reachable(Cause.RSYNC, host, detail="it does not tell its version")
    for transfer in transfers:
        _refuse_closed(host, transfer.path, told, answer.errors.strip()[-_LONGEST:])
        _refuse_empty(host, transfer, told)
    return told


def advice(told: Told, transfers: Sequence[Transfer]) -> str:
    """Return what the owner of a machine should know of the folders below its shares, or ""."""
    lost = [f"{folder} cannot be read" for folder in told.closed if _saved_by(folder, transfers)]
    lost += [
        f"{folder} is on another file system"
        for folder in told.mounted
        if folder not in told.closed and any(one.stays for one in _saved_by(folder, transfers))
    ]
    more = f", and {len(lost) - _MOST_TOLD} more" if len(lost) > _MOST_TOLD else ""
    return f"Backups will lack some folders: {', '.join(lost[:_MOST_TOLD])}{more}." if lost else ""


def refuse_unbegun(host: str, share: str, begun: ProgramResult) -> None:
    """Refuse a *share* whose backup did not begin with rsync's own first word; raises NotReachable."""
    said, complaint = begun.output, begun.error_text
    if _is_protocol(said):
        return
    detail = f"{share}: exit status {begun.status}: {complaint[-_LONGEST:]}"
    if len(said) >= GREETING:
        what = said[:_LONGEST].decode("utf-8", "replace").strip().partition("\n")[0]
        raise not_reachable(Cause.UNCLEAN, host, what=what, detail=detail)
    if begun.status == _SSH_FAILED:
        step = Cause.HUNG_UP if _HUNG_UP.search(complaint) else Cause.ELSEWHERE
        raise not_reachable(step, host, what=_WHO_HANGS_UP[step], detail=detail)
    if begun.status == _REFUSED and not _ABOUT_THE_FOLDER.search(complaint):
        raise not_reachable(Cause.ELSEWHERE, host, what="rsyncsend.sh refuses rsync's options", detail=detail)
    steps = {_REFUSED: Cause.SHARE, _UNAVAILABLE: Cause.FOLDER}
    step = steps.get(begun.status, Cause.RSYNC if "rsync" in complaint else Cause.WRAPPER)
    raise not_reachable(step, host, what=share, detail=detail)


def refuse_nothing(host: str, listed: Mapping[str, ProgramResult], *, each: bool) -> None:
    """Refuse shares of which rsync, having *listed* them to the end, saves no file.

    *each*: whether one of them is enough for that. What takes longer to list is full of something, if rsync
    has begun to list it.

    Raises NotReachable.
    """
    nothing = {share: ended for share, ended in listed.items() if not has_file(ended.output)}
    empty = [share for share, ended in nothing.items() if ended.status in _LISTED]
    for share, ended in nothing.items():
        if share in empty or (ended.status < 0 and has_folder(ended.output)):
            continue
        detail = f"{share}: exit status {ended.status}: {ended.output[-_LONGEST:].decode('utf-8', 'replace')}"
        raise not_reachable(Cause.SILENT if ended.status < 0 else Cause.RSYNC, host, detail=detail)
    if empty and (each or len(empty) == len(listed)):
        raise not_reachable(Cause.EMPTY, host, what=empty[0])


def _is_protocol(said: bytes) -> bool:
    """Tell whether *said* begins as rsync does: its protocol, four bytes (compat.c; what rsync_bpc takes)."""
    return len(said) >= GREETING and said[0] in _PROTOCOLS and said[1:GREETING] == b"\0\0\0"


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
        closed=tuple(values.get("closed", ())),
        mounted=tuple(values.get("mounted", ())),
        folders=dict(_counted(values.get("folders", ()))),
    )


def _counted(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield the share and the number of each line "NUMBER SHARE"."""
    for line in lines:
        number, _, share = line.partition(" ")
        if number.isdecimal() and len(number) < _DIGITS:
            yield share, int(number)


def _failing_step(answer: Answer) -> Cause:
    if answer.status == _UNAVAILABLE and "rsync" in answer.errors:
        return Cause.RSYNC
    return Cause.SUDO if "sudo" in answer.errors else Cause.WRAPPER


def _refuse_closed(host: str, share: str, told: Told, complaint: str) -> None:
    if any(_is_in(share, folder) for folder in told.unreadable):
        advice = _FULL_DISK_ACCESS if told.system == "Darwin" else ""
        raise not_reachable(Cause.FOLDER, host, what=share, advice=advice, detail=complaint)
    if not any(_is_in(share, folder) for folder in told.readable):
        offered = ", ".join(told.readable) or "nothing"
        raise not_reachable(Cause.SHARE, host, what=share, detail=f"it gives {offered}")


def _refuse_empty(host: str, transfer: Transfer, told: Told) -> None:
    """Refuse a share that has folders, of which none would be saved."""
    share = transfer.path.rstrip("/") or "/"
    lost = {folder for folder in told.closed if _parent(folder) == share}
    elsewhere = {folder for folder in told.mounted if _parent(folder) == share and transfer.stays}
    if not lost | elsewhere or len(lost | elsewhere) < told.folders.get(share, 0):
        return
    step = Cause.FOLDER if lost else Cause.FILE_SYSTEM
    raise not_reachable(step, host, what=sorted(lost or elsewhere)[0], detail=f"as all that {share} has")


def _saved_by(folder: str, transfers: Sequence[Transfer]) -> list[Transfer]:
    return [transfer for transfer in transfers if _is_in(folder, transfer.path)]


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0] or "/"


def _is_in(share: str, folder: str) -> bool:
    return f"{share.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
