"""Describe the options of a verb: those that several verbs have, and how to write others."""

from collections.abc import Callable
from typing import Any

Option = Callable[[Any], object]
"""What adds an option, or several, to a parser or to a group of one."""


def option(*names: str, **settings: Any) -> Option:
    """Return what adds one option; the arguments are those of argparse's ``add_argument``."""
    return lambda parser: parser.add_argument(*names, **settings)


def switch(name: str, what: str) -> Option:
    """Return what adds the option *name*, which has no value; *what* is its help."""
    return option(name, action="store_true", help=what)


def one_of(*options: Option) -> Option:
    """Return what adds *options*, exactly one of which must be given."""
    return lambda parser: add_options(parser.add_mutually_exclusive_group(required=True), options)


def group(title: str, *options: Option) -> Option:
    """Return what adds *options* below a *title* in the help."""
    return lambda parser: add_options(parser.add_argument_group(title), options)


def add_options(parser: Any, options: tuple[Option, ...]) -> None:
    """Add *options* to a parser or to a group of one."""
    for one in options:
        one(parser)


HOST = option("host", metavar="HOST", help="its name in BackupPC")
JSON = switch("--json", "print JSON")
DRY_RUN = switch("--dry-run", "show what would be done, and change nothing")
YES = option("--yes", metavar="HOST", help="the host's name, to answer the question in advance")
