"""Define every refusal and fault: its code, message, advice, exit status and syslog level."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from backuppc_register.protocol.escaping import escape, to_lines


class RegisterError(Exception):
    """Any end of a request but success.

    *values* fill the message (``host=``, ``logon=``, ``reason=``), not escaped yet. *detail* is for the
    administrator only: it is in syslog and never in the reply. *advice* replaces that of the class.
    *reply_values* names the values that have a line of their own in the reply, for programs.
    """

    code: ClassVar[str]
    text: ClassVar[str]
    reply_values: ClassVar[tuple[str, ...]] = ()
    advice: str
    exit_status: ClassVar[int]
    level: ClassVar[str]

    def __init__(self, *, detail: str = "", advice: str = "", **values: str) -> None:
        self.detail = detail
        self.values = values
        if advice:
            self.advice = advice
        super().__init__()

    def __str__(self) -> str:
        return self.message() + (f" ({self.detail})" if self.detail else "")

    def add_values(self, **values: str) -> None:
        """Add what else is known of the request, for the fields of the log; keep what the error has."""
        self.values = values | self.values

    def add_detail(self, detail: str) -> None:
        """Append *detail*, if it is not empty."""
        self.detail = "; ".join(filter(None, (self.detail, detail)))

    def message(self, word: Callable[[str], str] = str, text: Callable[[str], str] = str) -> str:
        """Return the message, its values escaped: the reason by *text*, all others by *word*."""
        escapes = {name: text if name == "reason" else word for name in self.values}
        return self.text.format(**{name: escapes[name](value) for name, value in self.values.items()})


class Refusal(RegisterError):
    """The rules do not allow the request."""


class Fault(RegisterError):
    """The server could not do its work; that says nothing about the request."""

    advice = "The backup server needs its administrator: tell the help desk the request number."
    level = "err"


class NoCommand(Refusal):
    """SSH_ORIGINAL_COMMAND is empty or absent."""

    code = "no-command"
    text = "no command given"
    advice = "This key registers machines and gives no shell: use the client setup."
    exit_status = 64
    level = "notice"


class OsTypeUnknown(Refusal):
    """The command has another form, or the OS is not configured."""

    code = "ostype-unknown"
    text = "ostype is unknown"
    advice = "The setup asked for something that this server does not offer: use the setup of this site."
    exit_status = 64
    level = "notice"


class BadUser(Refusal):
    """The logon is impossible, or the directory does not have exactly one such person. Takes logon=."""

    code = "bad-user"
    text = "bad user request : {logon}"
    advice = "Check the spelling of your logon and try again."
    exit_status = 67
    level = "notice"


class InvalidDnsName(Refusal):
    """The peer has no DNS name that we register."""

    code = "dns-name"
    text = "invalid DNS name for this IP"
    advice = "Connect to the site's own network, or ask the help desk to check this machine's DNS name."
    exit_status = 77
    level = "warning"


class OtherOwner(Refusal):
    """The host has another owner, or another machine has its short name. Takes host= and logon=."""

    code = "other-owner"
    text = "refusing to re-register client host with username : {host} {logon}"
    advice = "This machine's name is already taken by another registration: ask the help desk."
    exit_status = 77
    level = "warning"


class HostKeyChanged(Refusal):
    """The machine has another ssh host key than the pinned one. Takes host= and fingerprint=."""

    code = "host-key-changed"
    text = "the ssh host key of {host} has changed"
    reply_values = ("fingerprint",)
    advice = "If this machine was installed anew, ask the help desk to accept its new key."
    exit_status = 77
    level = "warning"


class NotRegistered(Refusal):
    """The host has no line in the hosts file. Takes host=."""

    code = "not-registered"
    text = "{host} is not registered"
    advice = "Register this machine first."
    exit_status = 69
    level = "notice"


class NotAllowed(Refusal):
    """The site's policy does not allow it. Takes reason=."""

    code = "not-allowed"
    text = "refused by this site : {reason}"
    advice = "Ask the help desk of this site."
    exit_status = 77
    level = "warning"


class NotReachable(Refusal):
    """The server could not connect back. Takes host=, reason= and step= (the word of `Cause`)."""

    code = "not-reachable"
    text = "could not connect back to {host} : {reason}"
    reply_values = ("step",)
    advice = "Check that this machine accepts ssh connections from the backup server."
    exit_status = 69
    level = "notice"


class TooManyRequests(Refusal):
    """More requests than the limits allow."""

    code = "too-many-requests"
    text = "too many requests"
    advice = "Wait a minute and try again."
    exit_status = 75
    level = "warning"


class DirectoryUnavailable(Fault):
    """LDAP is down or slow, or refuses our bind. It does not mean "no such person"."""

    code = "directory-unavailable"
    text = "the directory did not answer"
    advice = "Nothing was changed; try again in a few minutes."
    exit_status = 75


class DnsUnavailable(Fault):
    """The DNS timed out or failed. It does not mean "no such name"."""

    code = "dns-unavailable"
    text = "the DNS did not answer"
    advice = "Nothing was changed; try again in a few minutes."
    exit_status = 75


class HostsFileError(Fault):
    """The hosts file could not be read or written, or the operating system had an error."""

    code = "could-not-register"
    text = "Could not register"
    exit_status = 73


class TryAgain(HostsFileError):
    """A lock was not had in time, or a disk failed for a moment; nothing was changed."""

    advice = "Nothing was changed; try again in a few minutes."
    exit_status = 75


class NoSpace(HostsFileError):
    """There is no space for a temporary file or folder. On the wire it is a HostsFileError."""


class Busy(HostsFileError):
    """BackupPC is busy with the host or cannot be asked. On the wire it is a HostsFileError. Takes host=."""

    text = "BackupPC cannot be stopped from working on {host}"


class StateError(Fault):
    """Our files or BackupPC's settings of a host could not be read or written."""

    code = "no-config-file"
    text = "could not generate config file."
    exit_status = 73


class Misconfigured(Fault):
    """Our own configuration is wrong; only *detail* says what."""

    code = "misconfigured"
    text = "the server is misconfigured"
    exit_status = 78


class Internal(Fault):
    """We have a bug, or SSH_CONNECTION is absent or malformed."""

    code = "internal"
    text = "internal error"
    exit_status = 70


def table() -> Iterator[type[RegisterError]]:
    """Yield the classes of the error table, in its order."""
    for root in (Refusal, Fault):
        yield from root.__subclasses__()


def reply(error: RegisterError, request: str, connection: str) -> bytes:
    """Return the reply to a request that ended with *error*: the first line begins with SSH_CONNECTION.

    *connection*: SSH_CONNECTION, empty if that is malformed.
    """
    message = error.message(escape, escape)
    first = f"{connection} {message}" if connection else message
    names = [name for name in error.reply_values if error.values.get(name)]
    lines = [first, f"error:{error.code}", f"request:{request}", f"advice:{escape(error.advice)}"]
    return to_lines([*lines, *(f"{name}:{escape(error.values[name])}" for name in names)])
