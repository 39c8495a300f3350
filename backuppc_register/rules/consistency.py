"""Where hosts file, records, per-host configs, keys and data contradict each other; nothing is decided."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from backuppc_register.backuppc import backups, closed_config, host_config, host_data
from backuppc_register.backuppc.hosts import HostsFile
from backuppc_register.backuppc.lock import locked
from backuppc_register.config import Config
from backuppc_register.errors import CouldNotRegister, NoConfigFile
from backuppc_register.person import same_logon
from backuppc_register.rules import purge, retirement
from backuppc_register.rules.custody import Subject
from backuppc_register.state.former_owners import FormerOwners
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record

_UNFINISHED = timedelta(hours=1)  # a registration may be at work meanwhile
_LOCK_PATIENCE = 2.0  # seconds for what an administrator may be doing just now
_ADMIN = "backuppc-register-admin"


@dataclass(frozen=True)
class Contradiction:
    """What does not fit together about a host, and what can be done."""

    host: str
    person: str
    what: str
    advice: str


def contradictions(
    config: Config, folders: HostFolders, hosts: HostsFile, now: datetime
) -> Iterator[Contradiction]:
    """Yield what does not fit together, by what the hosts file was a moment ago.

    Needs no lock: what is being registered meanwhile is left out. Raises NoConfigFile where our state cannot
    be listed.
    """
    users: dict[str, list[str]] = {}
    for line in hosts.lines:
        users.setdefault(line.host, []).append(line.user)
    recorded = folders.names()
    for host in recorded:
        yield from _of_host(host, users.get(host, []), config, folders, now)
    yield from _settled(recorded, hosts, config, folders)
    known = users.keys() | set(recorded)
    yield from _ownerless_data(known, config)
    yield from _ownerless_configs(known, config)


def _of_host(
    host: str, users: list[str], config: Config, folders: HostFolders, now: datetime
) -> Iterator[Contradiction]:
    owner = ", ".join(users)
    try:
        record = folders.record(host)
    except NoConfigFile as error:
        advice = "Look at it, and set it right or move its folder away; the owner then registers again."
        yield Contradiction(host, owner, f"our record cannot be read: {error.detail}", advice)
        return
    if record is None:
        yield Contradiction(host, owner, "our folder of it has no record", "Its owner registers again.")
        return
    if users:
        yield from _of_owner(record, users, config)
        yield from _of_parts(record, config, folders)
    else:
        yield from _without_line(record, config, now)


def _of_owner(record: Record, users: list[str], config: Config) -> Iterator[Contradiction]:
    others = [user or "nobody" for user in users if not same_logon(user, record.person)]
    if not others:
        return
    what = f"the hosts line is of {', '.join(others)}, our record of {record.person}; the line counts"
    advice = f"{_ADMIN} transfer {record.host} LOGON, or let the line's owner register again."
    try:
        if closed := FormerOwners(config.state.directory).of(record.host).closed:
            what = f"it was {closed}'s when somebody gave it back to whom it was taken from; it waits for you"
            advice = f"{_ADMIN} transfer {record.host} {closed}, or to whose it is now."
    except NoConfigFile as error:
        what, advice = f"{what}; whose it was cannot be read: {error.detail}", "Set that right first."
    yield Contradiction(record.host, ", ".join(others), what, advice)


def _of_parts(record: Record, config: Config, folders: HostFolders) -> Iterator[Contradiction]:
    host, person = record.host, record.person
    if _is_retired(record):
        return
    if not record.by_hand:
        again = f"{person} registers again and installs the key that is told then."
        try:
            if folders.public_key(host) is None:
                yield Contradiction(host, person, "there is no key pair of it", again)
        except NoConfigFile as error:
            yield Contradiction(host, person, f"its key pair is of no use: {error.detail}", again)
    try:
        if record.config and not host_config.exists(config.backuppc, host):
            what = f"{host}.pl is gone: BackupPC uses its global settings"
            yield Contradiction(host, person, what, f"{person} registers again.")
    except NoConfigFile as error:
        yield Contradiction(host, person, f"{host}.pl: {error.detail}", "See who may read it.")


def _is_retired(record: Record) -> bool:
    return bool(record.retired or record.archive_of)


def _settled(
    recorded: Iterable[str], hosts: HostsFile, config: Config, folders: HostFolders
) -> list[Contradiction]:
    """Return what does not fit of retired hosts, unless somebody is at work on them at this moment."""
    found = {host: one for host in recorded if (one := _of_retired(host, hosts, config, folders))}
    if not found:
        return []
    # Who cannot wait for the lock tells what was found without it.
    with suppress(CouldNotRegister), locked(config.backuppc.config_dir, _LOCK_PATIENCE):
        found = {host: one for host in found if (one := _of_retired(host, hosts, config, folders))}
    return [*found.values()]


def _of_retired(host: str, hosts: HostsFile, config: Config, folders: HostFolders) -> Contradiction | None:
    """Return what was done half, or undone by somebody, to what should not be backed up any more."""
    try:
        record = folders.record(host)
    except NoConfigFile:  # `_of_host` tells
        return None
    if record is None or not _is_retired(record) or not hosts.lines_for(host):
        return None
    try:
        what, advice = _what_of_retired(_subject(record, hosts, config), record, folders)
    except (NoConfigFile, CouldNotRegister) as error:
        what, advice = f"it cannot be told whether it is closed: {error.detail}", "See who may read that."
    return Contradiction(host, record.person, what, advice) if what else None


def _what_of_retired(subject: Subject, record: Record, folders: HostFolders) -> tuple[str, str]:
    host = subject.host
    if is_open := _open_parts(subject, folders):
        what = f"it is recorded as retired, but {is_open}: it may be backed up, and its owner may change that"
        return what, f"{_ADMIN} retire {host}" + ("" if record.archive_of else f", or resume {host}")
    if record.purge and (reason := purge.objection(subject, record, folders)):
        what = f"its purge, due from {record.purge} on, will not be carried out: {reason}"
        return what, f"{_ADMIN} purge {host} asks for it anew, resume {host} forgets it"
    return "", ""


def _subject(record: Record, hosts: HostsFile, config: Config) -> Subject:
    """Return the host of *record* as it stands, which has a line."""
    places, host = config.backuppc, record.host
    line = hosts.lines_for(host)[0]
    return Subject(
        host=host,
        hosts=hosts,
        line=line,
        owner=FormerOwners(config.state.directory).of(host).closed or line.user,
        record=record,
        config=host_config.read(places.config_dir, host),
        data=_has_data(host, config),
        extent=host_data.extent(places.data_dir, host),
    )


def _open_parts(subject: Subject, folders: HostFolders) -> str:
    host = subject.host
    parts = []
    if subject.config != closed_config.text(host):
        parts.append(f"{host}.pl is {'gone' if subject.config is None else 'not the one that stops backups'}")
    if retirement.has_key(host, folders):
        parts.append("its key is in use")
    return " and ".join(parts)


def _without_line(record: Record, config: Config, now: datetime) -> Iterator[Contradiction]:
    host, person = record.host, record.person
    if _has_data(host, config):
        what = "it has backups and a record, but no line; BackupPC deletes such backups at its nightly runs"
        advice = f"{person} registers again, or add the line by hand: {host} 0 {person}"
        yield Contradiction(host, person, what, advice)
    elif record.by_hand:
        what = "what was kept of it when it was retired is left, but no line and no backups"
        yield Contradiction(host, person, what, f"Look at our folder of it, and move that away: {host}.")
    elif _is_old(record, now):
        what = "a registration that was never finished: it has a record, but no line and no backups"
        yield Contradiction(host, person, what, f"{person} registers again; or else it does no harm.")


def _is_old(record: Record, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(record.registered) > _UNFINISHED
    except (ValueError, TypeError):  # no time, or one without a zone
        return True


def _has_data(host: str, config: Config) -> bool:
    try:
        return backups.has_backups(config.backuppc.data_dir, host)
    except CouldNotRegister:
        return True


def _ownerless_data(known: set[str], config: Config) -> Iterator[Contradiction]:
    try:
        names = backups.hosts_with_folder(config.backuppc.data_dir)
    except CouldNotRegister as error:
        yield Contradiction("", "", str(error.detail), "Is the disk mounted, and open to BackupPC's account?")
        return
    for host in names:
        if host not in known and _has_data(host, config):
            what = "there are backups of it, but no line and no record"
            advice = f"Add its line to the hosts file, or delete {config.backuppc.data_dir}/pc/{host}."
            yield Contradiction(host, "", what, advice)


def _ownerless_configs(known: set[str], config: Config) -> Iterator[Contradiction]:
    """Yield the .pl files that lead to a key of ours without being of a host that we know."""
    ours = str(config.state.directory / "hosts").encode()
    for path in _configs(config.backuppc.config_dir):
        try:
            content = host_config.read(config.backuppc.config_dir, path.stem)
        except NoConfigFile:
            continue
        if path.stem not in known and ours in (content or b""):
            what = f"{path} is of a host without line and record; the name is refused to everybody"
            yield Contradiction(path.stem, "", what, "Move it away.")


def _configs(config_dir: Path) -> list[Path]:
    try:
        return sorted(path for path in config_dir.iterdir() if path.suffix == ".pl")
    except OSError:
        return []
