"""The functions of setup.sh, for a test to source: without the call of main, with the caller's PATH."""

import re

from checkout import CHECKOUT

SCRIPT = CHECKOUT / "clients" / "setup.sh"
TEXT = SCRIPT.read_text()
END = '\nmain "$@"\nexit\n}\n'
BEGIN = "\n{\n"


def functions_of(text: str) -> str:
    """Return what stands in the group that is the whole script, but for the call of main and the PATH."""
    inside = text.removesuffix(END).partition(BEGIN)[2]
    return re.sub(r"^PATH=\S+\n", "", inside, count=1, flags=re.MULTILINE) + "\n"


FUNCTIONS = functions_of(TEXT)
