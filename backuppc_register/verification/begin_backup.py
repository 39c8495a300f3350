"""Begin a backup of each folder as BackupPC does, up to rsync's greeting and the first file to save."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.host_key import HostKey
from backuppc_register.network import rsync_handshake
from backuppc_register.network.rsync_handshake import GREETING, has_file, has_folder
from backuppc_register.network.ssh import NOT_WITH_THESE_OPTIONS
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.system.deadline import Deadline
from backuppc_register.system.processes import ProgramResult
from backuppc_register.verification.way_back import WayBack

_AT_ONCE = 4  # connections; sshd begins to drop new ones at ten (MaxStartups)
_LONGEST = 200  # characters of a program's output that we repeat
_REFUSED, _UNAVAILABLE = 64, 69  # the exit statuses of rsyncsend.sh (sysexits.h)
_SSH_FAILED = 255
_LISTED = {0, 23, 24}  # rsync(1): all, or all but what could not be read or vanished meanwhile
_PROTOCOLS = range(20, 41)
_HUNG_UP = re.compile(r"kex_exchange_identification|connection (closed|reset|refused|timed out)", re.I)
_WHO_HANGS_UP = {
    Cause.HUNG_UP: "sshd",
    Cause.ELSEWHERE: NOT_WITH_THESE_OPTIONS,
}
# What an rsync says of an option that it does not know, or of a number that it does not take.
_ABOUT_AN_OPTION = re.compile(r"(unknown|invalid|unrecognized|illegal) option|too (large|big)\b")
_CLIENT_TIMEOUT = "Ask the help desk to set $Conf{ClientTimeout} = 3600 in BackupPC for this machine."
_ITS_OPTIONS = "Ask the help desk to leave out, in BackupPC's settings for it, what its rsync refuses."
# rsyncsend.sh refuses a folder with one of these; all else that it refuses is options.
_ABOUT_THE_FOLDER = re.compile(r"is not in a folder that|leads? (out of|to) |not a plain absolute path")


def begin_each(host: str, key: HostKey, way: WayBack, time: Deadline) -> None:
    """Begin the backup of each folder, some at a time, and check that each has a file to save.

    *key*: the only ssh host key that is accepted. Raises NotReachable with the step that fails.
    """

    def begin(transfer: Transfer) -> ProgramResult:
        greeting = rsync_handshake.read_greeting(host, key, way.ssh, transfer, time.remaining())
        _refuse_other_greeting(host, transfer.path, greeting)
        return rsync_handshake.list_files(host, key, way.ssh, transfer, time.remaining() / 2)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            paths = [transfer.path for transfer in way.transfers]
            listed = dict(zip(paths, pool.map(begin, way.transfers), strict=True))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    _refuse_empty(host, listed, each=way.settings.zero_files_fatal)


def _refuse_other_greeting(host: str, share: str, result: ProgramResult) -> None:
    """Refuse a *share* if its backup does not begin with rsync's greeting; raises NotReachable."""
    output, errors = result.output, result.error_text
    if _is_greeting(output):
        return
    detail = f"{share}: exit status {result.status}: {errors[-_LONGEST:]}"
    if len(output) >= GREETING:
        what = output[:_LONGEST].decode("utf-8", "replace").strip().partition("\n")[0]
        raise not_reachable(Cause.UNCLEAN, host, what=what, detail=detail)
    if result.status == _SSH_FAILED:
        step = Cause.HUNG_UP if _HUNG_UP.search(errors) else Cause.ELSEWHERE
        raise not_reachable(step, host, what=_WHO_HANGS_UP[step], detail=detail)
    if result.status == _REFUSED and not _ABOUT_THE_FOLDER.search(errors):
        raise not_reachable(Cause.ELSEWHERE, host, what="rsyncsend.sh refuses rsync's options", detail=detail)
    steps = {_REFUSED: Cause.SHARE, _UNAVAILABLE: Cause.FOLDER}
    step = steps.get(result.status, Cause.RSYNC if "rsync" in errors else Cause.WRAPPER)
    advice = _about_an_option(errors) if step is Cause.RSYNC else ""
    raise not_reachable(step, host, what=share, detail=detail, advice=advice)


def _about_an_option(errors: str) -> str:
    """Return what to do if the machine's rsync refuses an option of BackupPC, else ""."""
    if not _ABOUT_AN_OPTION.search(errors):
        return ""
    return _CLIENT_TIMEOUT if "timeout" in errors else _ITS_OPTIONS


def _is_greeting(output: bytes) -> bool:
    """Tell whether *output* begins with a protocol version that rsync_bpc knows: four bytes (compat.c)."""
    return len(output) >= GREETING and output[0] in _PROTOCOLS and output[1:GREETING] == b"\0\0\0"


def _refuse_empty(host: str, listed: Mapping[str, ProgramResult], *, each: bool) -> None:
    """Refuse shares if rsync has listed them to the end and found no file to save; raises NotReachable.

    *each*: one such share is enough. A list that was not finished in time counts as files once it has begun.
    """
    without_file = {share: result for share, result in listed.items() if not has_file(result.output)}
    empty = [share for share, result in without_file.items() if result.status in _LISTED]
    for share, result in without_file.items():
        timed_out = result.status < 0
        if share in empty or (timed_out and has_folder(result.output)):
            continue
        end = result.output[-_LONGEST:].decode("utf-8", "replace")
        detail = f"{share}: exit status {result.status}: {end}"
        raise not_reachable(Cause.SILENT if timed_out else Cause.RSYNC, host, detail=detail)
    if empty and (each or len(empty) == len(listed)):
        raise not_reachable(Cause.EMPTY, host, what=empty[0])
