"""The administrators' documents against the code: commands, options, messages, exit statuses."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import CHECKOUT

from backuppc_register import admin
from backuppc_register.protocol import errors
from backuppc_register.protocol.unreachable import Cause
from backuppc_register.reconciliation.report import Word

PACKAGE = CHECKOUT / "backuppc_register"
GUIDE = CHECKOUT / "docs/administrators.md"
TOLD = CHECKOUT / "docs/reference/messages.md"
README, PROTOCOL = CHECKOUT / "README.md", CHECKOUT / "docs/protocol.md"
WITH_COMMANDS = [GUIDE, README, PROTOCOL, CHECKOUT / "docs/installation.md", CHECKOUT / "SECURITY.md"]
FOLDERS = (".", "docs", "docs/explanation", "docs/reference")
PROSE = sorted(document for folder in FOLDERS for document in CHECKOUT.glob(f"{folder}/*.md"))
RULES = ("inventory", "registration", "verification", "lifecycle", "reconciliation")
MANUAL = CHECKOUT / "packaging/backuppc-register.8"
ADMIN_MANUAL = CHECKOUT / "packaging/backuppc-register-admin.8"
PROGRAM = "backuppc-register-admin"
VALUES = {"host": "HOST", "logon": "LOGON", "reason": "REASON"}
MESSAGES = {kind(**VALUES).message(): str(kind.exit_status) for kind in errors.table()}


def commands(text: str) -> list[str]:
    """Give every command line of the administrators' program that *text* shows, in a block or in a row."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [line.strip() for line in joined.split("\n") if re.match(r" {4,}", line)]
    shown = [line for line in lines if line.startswith(f"{PROGRAM} ")]
    # What stands alone in backquotes is a command if it has a verb.
    inline = re.findall(rf"`({PROGRAM} [a-z][^`]*)`", re.sub(r"\n *", " ", text))
    return [*shown, *inline]


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Give every long option of *parser* and of its sub-commands, without those of every verb."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        yield from (o for o in action.option_strings if o not in ("-h", "--help", "--config"))
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options_of(inner)


def section(text: str, title: str) -> str:
    return re.split(r"^#+ ", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Give the cells of every row of the tables in *text*, but for their heads."""
    lines = [line.strip("|").split(" | ") for line in text.split("\n") if line[:1] == "|"]
    found = [[cell.strip() for cell in line] for line in lines]
    return [row for row in found if not set("".join(row)) <= set("-|")][1:]


def entries(text: str) -> list[tuple[list[str], str]]:
    """Give each list item of *text* as what it names, in backquotes, and what it says about that."""
    joined = re.sub(r"\n +", " ", text)
    found = re.findall(r"^- (`[^`]+`(?:,? `[^`]+`)*(?: \([^)]*\))?): (.*)$", joined, re.MULTILINE)
    assert len(found) == len(re.findall(r"^- ", joined, re.MULTILINE))
    return [(re.findall(r"`([^`]+)`", names), what) for names, what in found]


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda path: path.name)
def test_every_command_that_is_shown_is_one(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands(document.read_text())

    assert shown
    for command in shown:
        words = shlex.split(command, comments=True)[1:]
        try:
            chosen = admin.parser().parse_args(words)
            admin.verb_parser(chosen.verb, admin.load(chosen.verb)).parse_args(chosen.rest)
        except SystemExit:
            pytest.fail(f"{command}\n{capsys.readouterr().err}")


def test_the_guide_shows_every_verb_at_work() -> None:
    verbs = {shlex.split(command, comments=True)[1] for command in commands(GUIDE.read_text())}

    assert verbs == set(admin.VERBS)


def test_the_readme_shows_the_last_lines_of_the_setup_as_they_are() -> None:
    texts = re.findall("'([^']+)'", (CHECKOUT / "clients/setup.d/99-main.sh").read_text())
    known = [re.escape(text).replace("%s", r"\S+") for text in texts]
    shown = re.search(r"On the laptop.*\n\n((?: {4}.*\n)+)", README.read_text())

    assert shown
    for line in shown[1].splitlines():
        assert any(re.fullmatch(text, line.strip()) for text in known), line


def test_the_guide_lists_every_verb_with_its_options_and_no_others() -> None:
    listed = entries(section(GUIDE.read_text(), "All verbs"))
    told = {verb: set(re.findall(r"(?<![\w-])--?[a-z-]+", what)) for (verb,), what in listed}

    known = {verb: set(options_of(admin.verb_parser(verb, admin.load(verb)))) for verb in admin.VERBS}
    assert told == known


@pytest.mark.parametrize("document", [GUIDE, TOLD], ids=lambda path: path.name)
def test_the_contents_are_the_sections(document: Path) -> None:
    text = document.read_text()
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)

    assert re.findall(r"^- \[(.*)\]\(#", text, re.MULTILINE) == titles


def out_of_code(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines of *text* outside code blocks, with their numbers."""
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        fenced ^= line.startswith("```")
        if not fenced and not line.startswith("    "):
            yield number, line


@pytest.mark.parametrize("document", PROSE, ids=lambda path: path.name)
def test_no_line_is_over_120_characters(document: Path) -> None:
    assert [number for number, line in out_of_code(document.read_text()) if len(line) > 120] == []


@pytest.mark.parametrize("document", PROSE, ids=lambda path: path.name)
def test_no_text_becomes_a_row_of_the_table_above_it(document: Path) -> None:
    assert re.findall(r"^\|.*\n([^|\n].*)$", document.read_text(), re.MULTILINE) == []


def test_no_message_is_told_in_two_rows_of_a_table() -> None:
    for part in re.split(r"^#+ .*$", TOLD.read_text(), flags=re.MULTILINE):
        named = [row[0] for row in rows(part)]
        assert sorted(named) == sorted(set(named))


def test_the_changelog_has_each_heading_and_each_entry_once_for_a_version() -> None:
    for version in re.split(r"^## ", (CHECKOUT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        titles = re.findall(r"^### (.*)$", version, re.MULTILINE)
        begun = re.findall(r"^- (.*)$", version, re.MULTILINE)
        assert sorted(titles) == sorted(set(titles)), version[:6]
        assert sorted(begun) == sorted(set(begun)), version[:6]
        assert not re.search(r"^(?:-|  ).*\n\n-", version, re.MULTILINE), "a blank line parts a list"


@pytest.mark.parametrize("document", PROSE, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", document.read_text()):
        path = (document.parent / target) if target else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text()), (target, anchor)


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


class TestMessages:
    """Exit statuses and messages of requests, wherever they are told."""

    def test_the_guide_says_what_to_do_about_each(self) -> None:
        told = rows(section(TOLD.read_text(), "What a request was answered"))

        assert {row[0].strip("`"): row[1] for row in told} == MESSAGES
        assert all(len(row[2]) > 5 for row in told)

    def test_the_manual_page_has_each(self) -> None:
        text = MANUAL.read_text().replace("\\-", "-").partition(".SH EXIT STATUS")[2].partition(".SH ")[0]
        told: dict[str, str] = {}
        for status, messages in re.findall(r"\.TP\n\.B ([0-9]+)\n((?:[^.\n].*\n)+)", text):
            told |= dict.fromkeys(messages.replace("\n", " ").strip().split("; "), status)

        assert told.pop("success") == "0"
        assert [status for message, status in told.items() if message not in MESSAGES] == ["2"]
        assert {message: status for message, status in told.items() if status != "2"} == MESSAGES

    def test_the_manual_page_has_the_other_status_of_what_may_work_later(self) -> None:
        told = MANUAL.read_text().partition(f".B {errors.TryAgain.exit_status}\n")[2].partition(".TP")[0]

        assert errors.TryAgain().message() in told


def test_the_guide_says_what_to_do_about_each_step_of_a_verification() -> None:
    told = rows(section(TOLD.read_text(), "Why the server could not connect back"))

    assert [row[0].strip("`") for row in told] == [step.word for step in Cause]
    for step, (_, reason, what) in zip(Cause, told, strict=True):
        assert reason.strip("`") in step.reason
        assert len(what) > 5


def literals(node: ast.AST) -> list[str]:
    """Give the constant parts of a text in the code that say something."""
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return [text.strip() for text in texts if isinstance(text, str) and len(text.strip()) > 6]


def reasons(tree: ast.Module) -> Iterator[ast.expr]:
    """Give the texts of the code *tree* that become the reason of a refusal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Refused", "NotAllowed"):
            yield next(word.value for word in node.keywords if word.arg == "reason")
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
            yield node.value
        elif isinstance(node, ast.FunctionDef) and node.name in ("why_missing", "objection"):
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.JoinedStr))


def refusals() -> Iterator[list[str]]:
    """Give the refusals of the rules, each as the constant parts of its text."""
    for path in sorted(path for package in RULES for path in (PACKAGE / package).glob("*.py")):
        yield from filter(None, map(literals, reasons(ast.parse(path.read_text()))))


def test_the_guide_says_what_to_do_about_each_refusal_of_a_verb() -> None:
    told = entries(section(TOLD.read_text(), "What a verb answered"))
    phrases = [phrase for named, _ in told for phrase in named]
    known = list(refusals())

    assert len(known) >= 12
    for parts in known:
        if {"machines at the most for a person", "were stopped for good"} & set(parts):
            continue  # what a person is answered: the first table
        assert any(part in phrase or phrase in part for part in parts for phrase in phrases), parts
    assert all(len(what) > 3 for _, what in told)


def test_the_guide_explains_each_word_of_a_reconciliation() -> None:
    told = entries(section(TOLD.read_text(), "What reconcile reports"))

    assert [word for (word,), _ in told] == [word.value for word in Word]
    assert all(len(what.split(". ")) > 1 for _, what in told), "what has happened, and what to do"


def test_every_message_of_a_verb_that_the_guide_has_is_still_in_the_code() -> None:
    code = " ".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py")))
    told = entries(section(TOLD.read_text(), "What a verb answered"))

    for phrase in (phrase for named, _ in told for phrase in named):
        longest = max(re.split(r"HOST|/etc/backuppc/hosts", phrase), key=len).strip(": ")
        assert longest in code, phrase


CODE = [*sorted(PACKAGE.rglob("*.py")), *sorted(CHECKOUT.glob("clients/*.sh"))]


def longest_run(message: str, code: str) -> int:
    """Return how many words of *message*, one after the other, are in *code*."""
    words = message.strip(":").split()
    runs = (words[start:end] for end in range(len(words) + 1) for start in range(end))
    return max((len(run) for run in runs if " ".join(run) in code), default=0)


@pytest.mark.parametrize("title", re.findall(r"^##+ (.*)$", TOLD.read_text(), re.MULTILINE))
def test_every_message_in_a_table_is_still_in_the_code(title: str) -> None:
    """Names and numbers in a message differ each time: so a third of its words at least, in their order."""
    code = " ".join(path.read_text() for path in CODE)
    for row in rows(section(TOLD.read_text(), title)):
        for message in re.findall(r"`([^`]{16,})`", row[0]):
            words = len(message.split())
            assert longest_run(message, code) >= max(min(words, 2), words / 3), message


@pytest.mark.parametrize("part", ["90-doctor", "92-doctor-server", "steps/sshd", "steps/registered"])
def test_each_finding_of_the_doctor_is_told(part: str) -> None:
    code = (CHECKOUT / f"clients/setup.d/{part}.sh").read_text()
    told = re.findall(r"`([^`]+)`", re.split("## What (?:the setup|a laptop) says", TOLD.read_text())[1])

    for finding in re.findall(r"\b(?:todo|to_repair|caution|doubt|untested) '([^']+)'", code):
        counted = ((longest_run(row, finding), len(row.split()) / 2, row) for row in told)
        known = [row for run, half, row in counted if run >= max(2, half)]
        assert known, f"{finding}: docs/reference/messages.md does not say what to do"


def test_the_statuses_of_the_administrators_program_are_told_alike_everywhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {row[0]: row[1] for row in rows(section(TOLD.read_text(), "Exit status"))}
    manual = ADMIN_MANUAL.read_text().partition(".SH EXIT STATUS")[2].partition(".SH ")[0]

    admin.parser().print_help()
    assert "Exit status: 0 done, 1 no or findings, 2 usage." in capsys.readouterr().out
    assert list(told) == re.findall(r"^\.B ([0-9])$", manual, re.MULTILINE) == ["0", "1", "2"]
