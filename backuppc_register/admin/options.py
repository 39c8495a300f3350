"""Options that several verbs have, with the same name and description."""

import argparse


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``: options.json."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run``: options.dry_run."""
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Add ``--yes HOST``: options.yes, for Context.confirmed."""
    parser.add_argument("--yes", metavar="HOST", help="the host's name, to answer the question in advance")
