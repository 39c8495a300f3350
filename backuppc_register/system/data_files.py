"""Find the files that come with the program: templates, clients, snippets."""

from pathlib import Path

from backuppc_register.protocol.errors import Misconfigured

_PACKAGE = Path(__file__).resolve().parent.parent


def find(name: str) -> Path:
    """Return the path of *name*, for example ``templates/linux.pl`` or ``clients``.

    Looked for in the package, beside it in a checkout, and in the share folder of the prefix of an installed
    package (PREFIX/lib/python3.X/site-packages; /usr/lib/python3/dist-packages).

    Raises Misconfigured if it is in none of them.
    """
    for folder in _folders():
        if (folder / name).exists():
            return folder / name
    raise Misconfigured(detail=f"{name} did not come with the program ({_PACKAGE})")


def _folders() -> list[Path]:
    checkout = _PACKAGE.parent
    if (checkout / "bin" / "backuppc-register").is_file():
        return [_PACKAGE, checkout]
    # A folder beside an installed package belongs to another package.
    return [_PACKAGE, *(parent / "share" / "backuppc-register" for parent in _PACKAGE.parents[3:4])]
