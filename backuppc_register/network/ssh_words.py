"""Tell from what `ssh -v` said how far it got, and why no further; pure.

The machine can add lines to it. So this explains a failure, and proves nothing.
"""

import errno
import os
import re
from dataclasses import dataclass

from backuppc_register.protocol.unreachable import Cause

NOT_WRITTEN = "Failed to add the host to the list of known hosts"
"""What ssh says if there is no space for a known host."""

BEFORE_A_KEY = frozenset(
    {Cause.REFUSED, Cause.FIREWALL, Cause.HUNG_UP, Cause.NOT_SSH, Cause.NEGOTIATION, Cause.ELSEWHERE}
)
"""The steps before a machine has proved its ssh host key."""

_LONGEST = 400  # characters that we repeat
_OURS = re.compile(
    r"debug1: .*|OpenSSH_[^,]+, .*|Warning: Permanently added .*|Authenticated to .*"
    r"|Transferred: sent .*|Bytes per second: sent .*"
)
_REMOTE = "debug1: Remote: "  # sshd's words, such as why it does not take a key
_STEP = re.compile(r"debug1: (.*)")
_BEGUN = re.compile(r"^debug1: Connecting to |^ssh: connect to host ", re.MULTILINE)
_NOT_CONNECTED = re.compile(r"^ssh: connect to host .*: ([^:\n]+)$", re.MULTILINE)
_CONNECTED = "debug1: Connection established."
_OTHER_LINE = "kex_exchange_identification: banner line"
_VERSION = re.compile(r"^debug1: Remote protocol version \S+, remote software version (\S+)", re.MULTILINE)
_ACCOUNT = re.compile(r"^debug1: Authenticating to \S+ as '([\w.-]+)'$", re.MULTILINE)
_ACCEPTED = re.compile(r"^debug1: Server accepts key: (/\S+) ", re.MULTILINE)
_AGREED = "debug1: SSH2_MSG_NEWKEYS sent"
_LOGGED_IN = "Authenticated to "
_HUNG_UP = re.compile(r"^kex_exchange_identification: .*(closed by remote host|reset by peer)", re.MULTILINE)
# sshd sends these instead of its version if it accepts no connection now (MaxStartups, PerSourcePenalties).
_SHUT_OUT = ("Exceeded MaxStartups", "Not allowed at this time")
_NO_CONNECTION = {
    os.strerror(errno.ECONNREFUSED): Cause.REFUSED,
    os.strerror(errno.ECONNRESET): Cause.HUNG_UP,
}


@dataclass(frozen=True)
class Server:
    """An ssh server: the *name* that it gives itself, and an *advice* if it cannot do what it must."""

    name: str
    advice: str


_DROPBEAR = (
    "This machine's ssh server is dropbear, which refuses a key line with from=: run the setup again "
    "(an earlier one with --no-from), or install OpenSSH's sshd."
)
_TINYSSH = (
    "This machine's ssh server is tinysshd, which cannot limit a key to one command: install OpenSSH's sshd."
)
_NO_SESSION = "Let the ssh server of this machine open a session: look for MaxSessions in sshd_config."
_ADVICE = {"dropbear": _DROPBEAR, "tinyssh": _TINYSSH}


def decoded(errors: bytes) -> str:
    """Return the text of *errors*; ssh ends its lines like a terminal."""
    return errors.decode("utf-8", "replace").replace("\r\n", "\n")


def account(said: str) -> str:
    """Return the account that ssh wanted to log in as."""
    wanted = _ACCOUNT.search(said)
    return wanted[1] if wanted else "the account"


def accepted_key(said: str) -> str:
    """Return the path of the private key that let ssh in, "" if ssh does not say it."""
    before, logged_in, _ = said.partition(f"\n{_LOGGED_IN}")
    accepted = _ACCEPTED.findall(before) if logged_in else []
    return accepted[-1] if accepted else ""


def server(said: str) -> Server:
    """Return the ssh server that ssh spoke to, with empty names before its version."""
    version = _VERSION.search(said)
    name = version[1] if version else ""
    product = name.lower().partition("_")[0].removesuffix("d")
    return Server(name, _ADVICE.get(product, ""))


def advice(said: str) -> str:
    """Return what to do about a login or a session that did not work, "" if nothing special is known."""
    return _NO_SESSION if "open failed: " in said else server(said).advice


def others(said: str) -> str:
    """Return what was said but for ssh's own report: the words of the command."""
    lines = (_OURS.sub("", line) for line in said.split("\n"))
    return "\n".join(filter(None, lines))


def last_step(said: str) -> str:
    """Return the last thing that ssh reported to do."""
    steps = _STEP.findall(said)
    return steps[-1][:_LONGEST] if steps else "it was started"


def complaints(said: str) -> str:
    """Return the end of what ssh, sshd and the command said, but for ssh's own report."""
    return others(said.replace(_REMOTE, "")).replace("\n", "; ")[-_LONGEST:]


def cause(said: str, *, late: bool = False) -> Cause:
    """Return the step that ssh did not get through; *late*: it was ended."""
    if not _BEGUN.search(said):
        return Cause.SILENT if late else Cause.ELSEWHERE
    if _CONNECTED not in said:
        failure = _NOT_CONNECTED.search(said)
        return _NO_CONNECTION.get(failure[1], Cause.FIREWALL) if failure else Cause.FIREWALL
    if not _VERSION.search(said):
        return _without_version(said)
    if _AGREED not in said:
        return Cause.NEGOTIATION
    if late:
        return Cause.SILENT
    return Cause.WRAPPER if _LOGGED_IN in said else Cause.LOGIN


def _without_version(said: str) -> Cause:
    if any(sentence in said for sentence in _SHUT_OUT):
        return Cause.HUNG_UP
    return Cause.HUNG_UP if _HUNG_UP.search(said) and _OTHER_LINE not in said else Cause.NOT_SSH
