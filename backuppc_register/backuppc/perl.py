"""Quote text as a Perl literal."""

_PLAIN = frozenset(map(chr, range(0x20, 0x7F)))
_SPECIAL = frozenset('"\\$@')


def quote(text: str) -> str:
    r"""Return any *text* as a Perl literal of one line of printable ASCII.

    So it cannot break out of a line or comment, and needs no ``use utf8``. It is single-quoted if possible,
    as in BackupPC's own configuration, else double-quoted with ``\x{...}`` (perlop(1)).
    """
    if _PLAIN.issuperset(text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(character: str) -> str:
    if character not in _PLAIN:
        return f"\\x{{{ord(character):x}}}"
    return "\\" + character if character in _SPECIAL else character
