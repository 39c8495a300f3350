"""How the demo talks: numbered steps, and between them what screens, files and logs really show."""

import os
import re
import sys
import textwrap
import time

ESCAPE_SEQUENCE = re.compile(r"\033\[[0-9;]*m")
WIDTH = 100


class StoryError(Exception):
    """The story did not go as it should have."""


class Telling:
    """Tells on standard output; bold only on a terminal that wants it."""

    def __init__(self) -> None:
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        self.bold = wanted and sys.stdout.isatty()
        self.steps = 0
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Give the time since the beginning, in seconds."""
        return time.monotonic() - self._began

    def title(self, text: str) -> None:
        """Open the story."""
        self._print(self._strong(text))

    def step(self, text: str) -> None:
        """Begin the next numbered step."""
        self.steps += 1
        self._print(f"\n{self._strong(f'{self.steps}. {text}')}")

    def say(self, text: str) -> None:
        """Say something in the demo's own words."""
        self._print(textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="   "))

    def row(self, *words: str) -> None:
        """Say one row of a table: a short name and what is to be said of it."""
        self._print("   " + "".join(f"{word:<14}" for word in words[:-1]) + words[-1])

    def command(self, where: str, text: str) -> None:
        """Show the command that somebody types *where*."""
        self._print(f"   {where}$ {self._strong(text)}")

    def quote(self, text: str) -> None:
        """Show a screen's or a file's own lines."""
        shown = text if self.bold else ESCAPE_SEQUENCE.sub("", text)
        for line in shown.rstrip("\n").split("\n"):
            self._print(f"   | {line}")

    def _strong(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self.bold else text

    def _print(self, text: str) -> None:
        # What a host shows may hold bytes that are no UTF-8.
        print(text.encode("utf-8", "replace").decode(), flush=True)


def expect(truth: object, what: str) -> None:
    """Go on only if it is so. Raises StoryError that names *what* should have been."""
    if not truth:
        raise StoryError(f"this did not come true: {what}")
