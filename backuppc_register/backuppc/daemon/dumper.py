"""Read BackupPC's replies, which are Perl's hashes as Data::Dumper prints them."""

import re
from collections.abc import Iterator

from backuppc_register.backuppc.daemon.connection import BadReply

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<name>%\w+)
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<number>-?[0-9][0-9.]*)
      | (?P<open>\\?\*\{|[\[({])
      | (?P<close>[\])}])
      | (?P<other>=>|[=,;]|\w+|\\?\*[:$\w]+|\\)           # undef, *::FH: a file that is open, references
    )""",
    re.ASCII | re.VERBOSE,
)

Hash = dict[str, str]
"""The texts and numbers of a hash, without what is nested in it."""


def hashes(reply: str) -> list[tuple[str, Hash]]:
    """Return the hashes in *reply*, each with its name, in their order; raises BadReply.

    Texts can be those of a laptop, such as an error, so the content of a text is never read as anything else.
    """
    found: list[tuple[str, Hash]] = []
    depth, key, after_arrow = 0, "", False
    for kind, text in _tokens(reply):
        if kind == "name" and not depth:
            found.append((text, {}))
        elif kind in ("open", "close"):
            depth += 1 if kind == "open" else -1
        elif depth == 1 and kind == "text" and found:
            if after_arrow:
                found[-1][1][key] = text
            key = text
        after_arrow = text == "=>" and kind == "other"
        if depth < 0:
            raise BadReply(f"it answers {reply[:80]!r}")
    if depth or (not found and reply.strip()):
        raise BadReply(f"it answers {reply[:80]!r}")
    return found


def _tokens(reply: str) -> Iterator[tuple[str, str]]:
    """Yield the tokens of *reply*, each with its kind; a text or a number is ``text``."""
    place, end = 0, len(reply.rstrip())
    while place < end:
        match = _TOKEN.match(reply, place)
        if match is None:
            raise BadReply(f"it answers {reply[place : place + 80]!r}")
        place = match.end()
        kind = match.lastgroup or "other"
        if kind in ("double", "single"):
            yield "text", re.sub(r"\\(.)", r"\1", match[kind], flags=re.DOTALL)
        else:
            yield ("text" if kind == "number" else kind), match[kind]
