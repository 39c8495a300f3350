"""The words of the word list, docs/glossary.md: none of the words to avoid is in the checked files."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
GLOSSARY = CHECKOUT / "docs/glossary.md"
PACKAGE = "backuppc_register"

# What is checked, as globs below the checkout. Add a package as soon as its words are plain.
DOCUMENTS = (
    "*.md",
    "docs/*.md",
    "docs/explanation/*.md",
    "packaging/*.8",
    f"{PACKAGE}/**/README.md",
    "clients/setup.d/README.md",
    "tests/README.md",
)
CODE = (f"{PACKAGE}/**/*.py",)

# Files that keep a word to avoid, and which: name the reason in a comment.
ALLOWED: dict[str, tuple[str, ...]] = {}


def avoided() -> list[str]:
    table = GLOSSARY.read_text().partition("## Words to avoid\n")[2]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", table, re.MULTILINE)
    return [word.strip() for word in rows if word not in ("avoid", "---")]


def prose_of_document(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines of *text* without code blocks and without what is in backquotes."""
    fenced = False
    for number, line in enumerate(text.partition("## Words to avoid\n")[0].split("\n"), 1):
        fenced ^= line.startswith("```")
        if not fenced and not line.startswith("    "):
            yield number, re.sub(r"`[^`]*`", "", line)


def prose_of_code(text: str) -> Iterator[tuple[int, str]]:
    """Give the comments, docstrings and texts of *text*; a text of one word is a name and no prose."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            for offset, line in enumerate(node.value.split("\n")):
                yield node.lineno + offset, re.sub(r"`[^`]*`", "", line)


def found_in(prose: Iterator[tuple[int, str]], allowed: tuple[str, ...] = ()) -> list[str]:
    words = [word for word in avoided() if word not in allowed]
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, words))})\b", re.IGNORECASE)
    return [f"line {number}: {match}" for number, line in prose for match in pattern.findall(line)]


def files(globs: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in globs for path in CHECKOUT.glob(pattern)})


def test_the_list_of_words_to_avoid_is_read() -> None:
    assert {"whose", "handed back", "somebody"} <= set(avoided())


@pytest.mark.parametrize("path", files(DOCUMENTS), ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_document_has_no_word_to_avoid(path: Path) -> None:
    name = str(path.relative_to(CHECKOUT))

    assert found_in(prose_of_document(path.read_text()), ALLOWED.get(name, ())) == []


def test_no_module_of_the_checked_code_has_a_word_to_avoid() -> None:
    names = {path: str(path.relative_to(CHECKOUT)) for path in files(CODE)}
    hits = {
        name: found_in(prose_of_code(path.read_text()), ALLOWED.get(name, ())) for path, name in names.items()
    }

    assert {name: found for name, found in hits.items() if found} == {}


@pytest.mark.parametrize("pattern", [*DOCUMENTS[:3], *CODE])
def test_every_glob_matches_a_file(pattern: str) -> None:
    assert files((pattern,))


def test_every_exception_is_still_needed() -> None:
    for name, words in ALLOWED.items():
        text = (CHECKOUT / name).read_text()
        prose = prose_of_code(text) if name.endswith(".py") else prose_of_document(text)
        assert {hit.partition(": ")[2].lower() for hit in found_in(prose)} >= set(words), name


def test_words_are_found_in_comments_docstrings_and_messages_and_names_are_not() -> None:
    text = '''
"""Say whose a host is."""
NAME = "ledger"  # put back
def run():
    "Nobody."
    raise Refused(f"{host} was handed back to {user}", "the `ledger` of it")
'''

    assert sorted(found_in(prose_of_code(text))) == [
        "line 2: whose",
        "line 3: put back",
        "line 6: handed back",
    ]


def test_words_in_code_blocks_and_backquotes_of_a_document_are_not_found() -> None:
    text = "Whose is it?\n\n    whose\n\nThe file `ledger`.\n```\nnobody\n```\nSomebody.\n"

    assert found_in(prose_of_document(text)) == ["line 1: Whose", "line 9: Somebody"]
