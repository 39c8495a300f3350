"""Ask sshd for its settings, and whether it accepts a configuration."""

from pathlib import Path

from backuppc_register.system import processes

MAIN = Path("/etc/ssh/sshd_config")

_TIMEOUT = 3.0  # seconds


class Refused(Exception):
    """sshd is not there, or does not accept its configuration; the text says why."""


def effective(account: str) -> dict[str, str]:
    """Return sshd's lower-case options for *account*; raises Refused.

    An option with several lines has all its values, but only the first port.
    """
    known: dict[str, str] = {}
    for line in _sshd("-T", "-C", f"user={account},host=localhost,addr=127.0.0.1").splitlines():
        name, _, value = line.partition(" ")
        known[name] = f"{known[name]} {value}" if name in known and name != "port" else known.get(name, value)
    return known


def check(path: Path) -> None:
    """Let sshd read the configuration *path*; raises Refused."""
    _sshd("-t", "-f", str(path))


def _sshd(*options: str) -> str:
    try:
        ended = processes.run(["sshd", *options], _TIMEOUT, path=processes.PATH_OF_ROOT)
    except OSError as error:
        raise Refused(str(error)) from error
    if ended.status:
        raise Refused(ended.error_text or f"sshd ended with status {ended.status}")
    return ended.output.decode("utf-8", "replace")
