"""The contributors' documents against the tree: commands, paths, names; the README of each package."""

import os
import re
from pathlib import Path

import pytest

from backuppc_register import admin

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "backuppc_register"
CONTRIBUTING = CHECKOUT / "CONTRIBUTING.md"
MAKEFILE = (CHECKOUT / "Makefile").read_text()
ROOTS = [CHECKOUT, PACKAGE, CHECKOUT / "docs", CHECKOUT / "clients"]
PACKAGES = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
READMES = [path / "README.md" for path in PACKAGES]


def blocks(text: str) -> list[str]:
    return [line.strip() for line in re.findall(r"^ {4}(.*)$", text, re.MULTILINE)]


def paths_in(text: str) -> list[str]:
    """Give the paths in backquotes: with a slash or a suffix, without placeholders in capitals."""
    named = re.findall(r"`([\w./-]+)`", text)
    return [
        name
        for name in named
        if re.search(r"/|\.(py|md|sh|en|fr)$", name)
        and not name.startswith(("/", "~"))
        and not re.search(r"[A-Z]{3,}(?!\w*\.md)", name)
    ]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z.]+):", MAKEFILE, re.MULTILINE))


def test_every_command_of_the_set_up_works() -> None:
    shown = [
        line.split("#")[0].split()
        for line in blocks(CONTRIBUTING.read_text())
        if line.startswith(("./", "make"))
    ]

    assert len(shown) >= 6
    for program, *arguments in shown:
        if program == "make":
            assert set(arguments) <= targets()
        else:
            assert os.access(CHECKOUT / program, os.X_OK), program


def test_the_makefile_names_what_is_there() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)

    assert phony is not None
    assert set(phony[1].split()) == targets()
    for path in re.findall(r"(?<![\w./-])((?:bin|clients|tests|benchmarks|\.ci)/[\w./-]+)", MAKEFILE):
        assert (CHECKOUT / path).exists(), path


@pytest.mark.parametrize(
    "name", ["CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/glossary.md"]
)
def test_every_path_that_is_named_is_there(name: str) -> None:
    named = paths_in((CHECKOUT / name).read_text())
    ours = [
        path for path in named if not path.startswith(("hosts/", "limits/", "aside/"))
    ]  # the state folder's

    assert [path for path in ours if not any((root / path).exists() for root in ROOTS)] == []


def test_every_name_of_the_code_is_one() -> None:
    text = CONTRIBUTING.read_text()
    structure = (CHECKOUT / "tests/test_structure.py").read_text()
    module = admin.load("retire")

    assert {"`VERBS`", "`SUMMARY`", "`EXAMPLE`", "`WRITERS`"} <= set(re.findall(r"`[A-Z]+`", text))
    assert hasattr(admin, "VERBS")
    assert all(hasattr(module, name) for name in ("SUMMARY", "EXAMPLE", "OPTIONS", "run"))
    assert re.search(r"^WRITERS\b", structure, re.MULTILINE)


def test_the_example_of_a_commit_keeps_the_rule() -> None:
    (subject, *body) = blocks(CONTRIBUTING.read_text().partition("## Commit\n")[2])

    assert len(subject) <= 72
    assert not subject.endswith(".")
    assert body


def test_every_package_has_a_readme_of_about_ten_lines() -> None:
    for path in READMES:
        lines = path.read_text().splitlines()
        assert 7 <= len(lines) <= 16, path
        assert lines[0] == f"# {path.parent.name}"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_module_that_a_readme_names_is_there(readme: Path) -> None:
    named = paths_in(readme.read_text())
    roots = [readme.parent, *ROOTS]

    assert [path for path in named if not any((root / path).exists() for root in roots)] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_readme_says_what_each_module_is_for(package: Path) -> None:
    text = (package / "README.md").read_text()
    modules = [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
    verbs = {f"{module}.py" for module in admin.VERBS.values()}

    assert [name for name in modules if name not in verbs and f"`{name}`" not in text] == []
    for folder in (path.parent for path in package.glob("*/__init__.py")):
        assert f"`{folder.name}/" in text


def test_the_architecture_names_every_package() -> None:
    text = (CHECKOUT / "docs/architecture.md").read_text()

    assert [path.name for path in PACKAGES if f"{path.name}/" not in text] == []
