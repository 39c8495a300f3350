"""The verb `register-key`: list, add and revoke the keys of client setups."""

import argparse
import pwd
import re
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path

from backuppc_register.admin import program_paths
from backuppc_register.admin.context import Context
from backuppc_register.admin.options import DRY_RUN, JSON, Option, add_options, option
from backuppc_register.admin.table import Columns
from backuppc_register.config import value_checks
from backuppc_register.state.authorized_keys import Binding
from backuppc_register.state.register_keys import RegisterKeys, possible_label

SUMMARY = "list, add and revoke the keys of client setups"
EXAMPLE = "backuppc-register-admin register-key add autumn-2027 --expires 2028-10-01"

_LIST = "backuppc-register-admin register-key list"
_REVOKE = "backuppc-register-admin register-key revoke autumn-2026"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_COLUMNS = Columns(
    ("LABEL", "GOOD", "RESTRICTED", "FROM", "EXPIRES", "BUNDLES", "FINGERPRINT"),
    leave=("FINGERPRINT", "BUNDLES", "FROM", "EXPIRES", "RESTRICTED", "GOOD"),
    cut={"FROM": 12, "FINGERPRINT": 20},
)


def run(context: Context, options: argparse.Namespace) -> int:
    """List, add or revoke register-keys."""
    path = options.authorized_keys or default_path(context.account)
    keys = RegisterKeys(context.config.state.directory, path)
    if options.action == "list":
        return _list(context, keys, as_json=options.json)
    act = _add if options.action == "add" else _revoke
    with context.server.locked():
        return act(context, keys, options)


def default_path(account: str) -> Path:
    """Return the file of *account* that sshd reads by default."""
    return Path(pwd.getpwnam(account).pw_dir) / ".ssh" / "authorized_keys"


def label(text: str) -> str:
    """Read a label; raises ValueError."""
    if not possible_label(text):
        raise ValueError
    return text


def network(text: str) -> str:
    """Read an address or a network; raises ValueError."""
    if value_checks.network(text):
        raise ValueError
    return text


def day(text: str) -> str:
    """Read YYYY-MM-DD, a day after today, and return sshd's YYYYMMDD; raises argparse's error.

    sshd refuses the key from the first moment of that day on, in the server's time zone. Ours is the same,
    because the program ignores the administrator's time zone.
    """
    try:
        parsed = date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is not a date, YYYY-MM-DD") from error
    if parsed <= date.today():
        today = parsed == date.today()
        raise argparse.ArgumentTypeError(f"{text} is today" if today else f"{text} is in the past")
    return parsed.strftime("%Y%m%d")


_FILE = "sshd's file for BackupPC's account (default: ~/.ssh/authorized_keys)"
AUTHORIZED_KEYS = option("--authorized-keys", metavar="FILE", type=Path, help=_FILE)
_FROM = "valid from this address or network only; may be repeated"
BINDING = (
    option(
        "--from", dest="key_from", metavar="ADDRESS", type=network, action="append", default=[], help=_FROM
    ),
    option("--expires", metavar="DATE", type=day, help="invalid from this day on, YYYY-MM-DD"),
)
"""The options that limit a register-key: options.key_from, options.expires."""

_NEW_LABEL = option("label", metavar="LABEL", type=label, help="its name, which is in every log line")
_ACTIONS: dict[str, tuple[str, str, tuple[Option, ...]]] = {
    "list": ("list them", _LIST, (JSON, AUTHORIZED_KEYS)),
    "add": ("make a new key", EXAMPLE, (_NEW_LABEL, *BINDING, DRY_RUN, AUTHORIZED_KEYS)),
    "revoke": (
        "revoke one key, and no other",
        _REVOKE,
        (option("label", metavar="LABEL", type=label), DRY_RUN, AUTHORIZED_KEYS),
    ),
}
"""What each action does, an example of it, and its options."""


def _add_actions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="list|add|revoke", required=True)
    for name, (what, example, options) in _ACTIONS.items():
        action = actions.add_parser(
            name,
            help=what,
            description=f"the register-keys: {what}",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add_options(action, options)


OPTIONS = (_add_actions,)


def _list(context: Context, keys: RegisterKeys, *, as_json: bool) -> int:
    found, now = keys.all(), datetime.now().astimezone()
    if as_json:
        context.json([asdict(key) | {"private": key.private, "expired": key.expired(now)} for key in found])
        return 0
    rows = (
        (
            key.label or "-",
            "no" if not key.line else "expired" if key.expired(now) else "yes",
            "yes" if key.restricted else "NO" if key.line else "-",
            key.sources or "anywhere",
            key.expires or "never",
            "NO" if key.flaw(now) else "yes",
            key.fingerprint,
        )
        for key in found
    )
    context.table(_COLUMNS, rows)
    return 0


def _add(context: Context, keys: RegisterKeys, options: argparse.Namespace) -> int:
    if any(key.label == options.label and key.line for key in keys.all()):
        context.say(f"There is a register-key {options.label} already. Choose another label, or revoke it.")
        return 1
    if options.dry_run:
        context.say(f"Would make the register-key {options.label}.")
        return 0
    binding = Binding(
        program_paths.command(context.config_path), tuple(options.key_from), options.expires or ""
    )
    keys.add(options.label, binding)
    context.log("register-key add", detail=f"label {options.label}")
    context.say(f"The register-key {options.label} is valid now. Next: backuppc-register-admin bundle")
    return 0


def _revoke(context: Context, keys: RegisterKeys, options: argparse.Namespace) -> int:
    found = [key for key in keys.all() if key.label == options.label]
    if not found:
        context.say(f"There is no register-key {options.label}.")
        return 1
    if options.dry_run:
        context.say(f"Would revoke the register-key {options.label}.")
        return 0
    keys.revoke(options.label)
    context.log("register-key revoke", detail=f"label {options.label}")
    if not any(key.line for key in found):
        context.say(f"{options.label} had no line in {keys.file}. Its private half is removed.")
        context.say("If sshd reads another file, the key is still valid: --authorized-keys FILE.")
        return 1
    context.say(f"The register-key {options.label} is revoked. Registered machines are not affected.")
    if not any(key.line for key in keys.all()):
        context.say("That was the last one: no machine can register until there is another.")
    return 0
