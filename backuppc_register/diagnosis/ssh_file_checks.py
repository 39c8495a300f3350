"""The check of the files that ssh needs for each host: its ssh_config, its key, its known_hosts."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, green, listed, red
from backuppc_register.diagnosis.server_facts import ServerFacts

_CONFIG, _KEY, _KNOWN_HOSTS, _STRICT = (
    "configfile",  # our word for ssh -F
    "identityfile",
    "userknownhostsfile",
    "stricthostkeychecking",
)
_SHORT = {"-F": _CONFIG, "-i": _KEY}
_CREATES_IT = {"accept-new", "no", "off"}


@dataclass(frozen=True)
class _Option:
    """An option of ssh: its name in lower case, and its values."""

    name: str
    values: tuple[str, ...]


def ssh_files(facts: ServerFacts) -> Iterator[Answer]:
    """Check that the files are there and readable that each .pl names: another disk may be mounted."""
    if not facts.known_settings:
        return  # `backuppc-config` reports it
    problems, checked = [], 0
    for host, settings in sorted(facts.host_settings.items()):
        if isinstance(settings, str) or settings.disabled or not settings.ssh_args:
            continue
        checked += 1
        wrong = next(_problems(settings.ssh_args[-1], facts.home), "")
        problems += [f"{host} ({wrong})"] if wrong else []
    folder = facts.config.state.directory
    advice = (
        f"df {folder}: is its disk mounted? If so, restore the files from a copy. Until then backups fail."
    )
    what = f"a file that ssh needs for these hosts is not there, or {facts.account} cannot read it:"
    yield from listed(red, what, problems, advice)
    yield green(f"the files that the ssh settings of {checked} hosts name are there")


def _problems(command: str, home: Path) -> Iterator[str]:
    """Yield what is wrong with the files that the ssh *command* names, and with those that its -F names."""
    options = [*_in_words(_split(command))]
    for option in options:
        if option.name == _CONFIG and option.values != ("none",):
            for path in _paths(option, home):
                yield from _unreadable(path)
                options += _in_file(path)
    strict = next((option.values for option in options if option.name == _STRICT), ())
    for option in options:
        for path in _paths(option, home):
            if option.name == _KEY:
                yield from _unreadable(path)
            elif option.name == _KNOWN_HOSTS and not (_CREATES_IT.intersection(strict) and not path.exists()):
                yield from _unreadable(path, may_be_empty=True)


def _in_words(words: Sequence[str]) -> Iterator[_Option]:
    """Yield the options in a command line of ssh that name files."""
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        text = word[2:] or following
        if word[:2] in _SHORT:
            yield _Option(_SHORT[word[:2]], (text,))
        elif word[:2] == "-o":
            yield from _option(text)


def _in_file(path: Path) -> Iterator[_Option]:
    try:
        rows = path.read_text("utf-8", "replace").split("\n")
    except OSError:
        return  # reported already
    for row in rows:
        yield from _option(row)


def _option(text: str) -> Iterator[_Option]:
    """Yield the option in *text*, ``Name value...`` or ``Name=value`` (ssh_config(5))."""
    name, *values = _split(text.strip().replace("=", " ", 1)) or [""]
    if name and not name.startswith("#"):
        yield _Option(name.lower(), tuple(values))


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _paths(option: _Option, home: Path) -> Iterator[Path]:
    """Yield the paths among the values; what ssh would still expand is left out."""
    for value in option.values:
        path = str(home / value[2:]) if value.startswith("~/") else value
        if path.startswith("/") and path != "/dev/null" and not set(path) & set("%$"):
            yield Path(path)


def _unreadable(path: Path, *, may_be_empty: bool = False) -> Iterator[str]:
    """Yield why *path* cannot be used, if so."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        yield f"{path}: {error.strerror}"
        return
    if empty and not may_be_empty:
        yield f"{path}: it is empty"
