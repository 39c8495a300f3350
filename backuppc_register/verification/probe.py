"""Judge by a machine's answer to `probe` (rsyncsend.sh) whether its folders can be backed up; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.network.ssh import Answer
from backuppc_register.protocol.unreachable import Cause, not_reachable

COMMAND = "probe"

_FIRST = "version:"  # the answer of rsyncsend.sh begins with it
_LONGEST = 200  # characters of a machine's answer that we repeat
_MOST_NAMED = 5  # folders, in advice
_MOST_LACKING = 20  # homes, in the reply
_DIGITS = 6
_UNAVAILABLE = 69  # the exit status of rsyncsend.sh if something is missing (sysexits.h)
_NO_WALL = "none"  # what rsyncsend.sh says if nothing keeps rsync inside the shared folders
_NEW_RSYNC = "Update rsync on this machine to 3.5 or later; in a container, let root mount (CAP_SYS_ADMIN)."
_IN_PLACE = (
    "If the files are on a server, have that server backed up. Otherwise name {folders} in the place of "
    "{share}, on BackupPC's page of this machine (Edit Config, Xfer, RsyncShareName), or ask the help desk."
)
_FULL_DISK_ACCESS = (
    "System Settings, General, Sharing, the (i) of Remote Login: switch on Full Disk Access for remote users."
)


@dataclass(frozen=True)
class Report:
    """A machine's report: its system (uname -s), its rsync's version, readable and unreadable folders.

    *wall*: what keeps rsync inside the shared folders; "" if the machine's rsyncsend.sh is an earlier one.
    *closed* and *mounted*: folders at the top of its shares that cannot be read, or are on other file
    systems; *folders*: the number of folders at the top of each share. All three as far as it has looked.
    *elsewhere*: homes that are file systems of their own and not on a disk of the machine.
    """

    system: str
    rsync: str
    readable: tuple[str, ...]
    unreadable: tuple[str, ...]
    wall: str = ""
    closed: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    folders: dict[str, int] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()


def judge(host: str, answer: Answer, transfers: Sequence[Transfer]) -> Report:
    """Return the machine's report, if the backups of the *transfers* would work.

    Raises NotReachable with the step that would fail.
    """
    report = _read(answer.output)
    head, mark, _ = answer.output.partition(_FIRST)
    if answer.status == 0 and mark and head:
        raise not_reachable(Cause.UNCLEAN, host, what=head.strip().partition("\n")[0][:_LONGEST])
    if answer.status != 0 or not mark or not report.rsync:
        output = answer.errors.strip() or answer.output.strip()
        detail = f"exit status {answer.status}: {output[-_LONGEST:]}"
        raise not_reachable(_failing_step(answer), host, detail=detail)
    if report.rsync == "?":
        raise not_reachable(Cause.RSYNC, host, detail="it does not report its version")
    errors = answer.errors.strip()[-_LONGEST:]
    if report.wall == _NO_WALL and report.unreadable:
        raise not_reachable(Cause.RSYNC, host, detail=errors, advice=_NEW_RSYNC)
    for transfer in transfers:
        _refuse_unreadable(host, transfer.path, report, errors)
        _refuse_unsaved(host, transfer, report, transfers)
    return report


def advice(report: Report, transfers: Sequence[Transfer]) -> str:
    """Return which folders will not be saved, as far as the machine has looked, as advice, or ""."""
    lost = [f"{folder} cannot be read" for folder in report.closed if _transfers_of(folder, transfers)]
    lost += [
        f"{folder} is on another file system"
        for folder in report.mounted
        if folder not in report.closed and _is_left_out(folder, transfers)
    ]
    more = f", and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    return f"Backups will lack some folders: {', '.join(lost[:_MOST_NAMED])}{more}." if lost else ""


def lacking(report: Report, transfers: Sequence[Transfer]) -> tuple[str, ...]:
    """Return the homes that will not be saved because they are on other file systems."""
    return tuple(home for home in report.elsewhere if _is_left_out(home, transfers))[:_MOST_LACKING]


def _read(output: str) -> Report:
    values: dict[str, list[str]] = {}
    for line in output.split("\n"):
        keyword, colon, value = line.partition(":")
        if colon:
            values.setdefault(keyword, []).append(value.strip()[:_LONGEST])
    return Report(
        system=values.get("system", [""])[-1],
        rsync=values.get("rsync", [""])[-1],
        readable=tuple(values.get("share", ())),
        unreadable=tuple(values.get("unreadable", ())),
        wall=values.get("wall", [""])[-1],
        closed=tuple(values.get("closed", ())),
        mounted=tuple(values.get("mounted", ())),
        folders=dict(_counts(values.get("folders", ()))),
        elsewhere=tuple(values.get("elsewhere", ())),
    )


def _counts(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield the share and the number of each line "NUMBER SHARE"."""
    for line in lines:
        number, _, share = line.partition(" ")
        if number.isdecimal() and len(number) < _DIGITS:
            yield share, int(number)


def _failing_step(answer: Answer) -> Cause:
    if answer.status == _UNAVAILABLE and "rsync" in answer.errors:
        return Cause.RSYNC
    return Cause.SUDO if "sudo" in answer.errors else Cause.WRAPPER


def _refuse_unreadable(host: str, share: str, report: Report, errors: str) -> None:
    """Refuse a *share* that the machine cannot read, or does not offer; raises NotReachable."""
    if any(_is_in(share, folder) for folder in report.unreadable):
        advice = _FULL_DISK_ACCESS if report.system == "Darwin" else ""
        raise not_reachable(Cause.FOLDER, host, what=share, advice=advice, detail=errors)
    if not any(_is_in(share, folder) for folder in report.readable):
        offered = ", ".join(report.readable) or "nothing"
        raise not_reachable(Cause.SHARE, host, what=share, detail=f"it offers {offered}")


def _refuse_unsaved(host: str, transfer: Transfer, report: Report, transfers: Sequence[Transfer]) -> None:
    """Refuse a share that has folders if none of them would be saved; raises NotReachable."""
    share = transfer.path.rstrip("/") or "/"
    lost = {folder for folder in report.closed if _parent(folder) == share}
    mounted = (folder for folder in report.mounted if _parent(folder) == share)
    elsewhere = sorted(folder for folder in mounted if _is_left_out(folder, transfers))
    if not (lost or elsewhere) or len(lost.union(elsewhere)) < report.folders.get(share, 0):
        return
    step, named = (Cause.FOLDER, sorted(lost)) if lost else (Cause.FILE_SYSTEM, elsewhere)
    advice = "" if lost else _IN_PLACE.format(folders=", ".join(named[:_MOST_NAMED]), share=share)
    detail = f"no folder of {share} would be saved"
    raise not_reachable(step, host, what=named[0], detail=detail, advice=advice)


def _is_left_out(folder: str, transfers: Sequence[Transfer]) -> bool:
    """Tell whether a *folder* on another file system than its share is not saved."""
    around = _transfers_of(folder, transfers)
    return any(one.stays for one in around) and all(one.path.rstrip("/") != folder for one in around)


def _transfers_of(folder: str, transfers: Sequence[Transfer]) -> list[Transfer]:
    return [transfer for transfer in transfers if _is_in(folder, transfer.path)]


def _parent(folder: str) -> str:
    return folder.rpartition("/")[0] or "/"


def _is_in(share: str, folder: str) -> bool:
    return f"{share.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
