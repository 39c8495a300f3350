"""Where the files are that come with the program: templates, clients, snippets."""

from pathlib import Path

from backuppc_register.protocol.errors import Misconfigured

_PACKAGE = Path(__file__).resolve().parent.parent


def find(name: str) -> Path:
    """Return the path of what comes with the program as *name*, say ``templates/linux.pl`` or ``clients``.

    It is in the package, or beside it in a checkout, or in the share folder of the prefix that the package is
    installed below (PREFIX/lib/python3.X/site-packages; /usr/lib/python3/dist-packages).

    Raises Misconfigured where it is nowhere.
    """
    for folder in _folders():
        if (folder / name).exists():
            return folder / name
    raise Misconfigured(detail=f"{name} did not come with the program ({_PACKAGE})")


def _folders() -> list[Path]:
    checkout = _PACKAGE.parent
    if (checkout / "bin" / "backuppc-register").is_file():
        return [_PACKAGE, checkout]
    # A folder beside an installed package is somebody else's package.
    return [_PACKAGE, *(parent / "share" / "backuppc-register" for parent in _PACKAGE.parents[3:4])]
