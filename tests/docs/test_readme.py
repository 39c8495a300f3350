"""README's quick start against the guide; the installation page, followed to the letter on a bare server."""

import re
from collections.abc import Iterator

import pytest
from checkout import CHECKOUT
from lab import Lab, Laptop
from lab.bare_server import SUBSTITUTES, BareServer
from lab.host import CHECKOUT_AT
from lab.lab import NAMESERVERS
from lab.laptop import MARTIN

README = CHECKOUT / "README.md"
GUIDE = CHECKOUT / "docs/administrators.md"
INSTALLATION = CHECKOUT / "docs/installation.md"
SECTION = "Install it on a backup server"
LAST = 8  # the step that is done on a laptop

# What the server's own diagnosis may still say, and why.
LACKING = {
    "web": "no host of the lab has a web server",
    "web-requests": "likewise",
}


def steps() -> dict[int, list[str]]:
    """Return the commands of each numbered step, in indented blocks, as the page has them."""
    section = INSTALLATION.read_text().partition(f"\n## {SECTION}\n")[2].partition("\n## ")[0]
    numbered = re.split(r"^([0-9]+)\. ", section, flags=re.MULTILINE)[1:]
    return {int(number): _blocks(text) for number, text in zip(numbered[::2], numbered[1::2], strict=True)}


def _blocks(text: str) -> list[str]:
    found = re.findall(r"\n\n((?: {7}.*\n)+)", text)
    return [re.sub(r"^ {7}", "", block, flags=re.MULTILINE) for block in found]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.names.publish("dugong.univ-brest.fr", *NAMESERVERS)
        yield lab


@pytest.fixture(scope="module")
def dugong(lab: Lab) -> BareServer:
    """The server, when all the steps but the laptop's are done."""
    dugong = BareServer(lab)
    lab.hosts.append(dugong)
    for number, blocks in steps().items():
        for block in blocks if number < LAST else ():
            dugong.follow(block)
    return dugong


def carried(dugong: BareServer, laptop: Laptop) -> None:
    """Put on *laptop* what the last step says, from the paths that the page names."""
    text = INSTALLATION.read_text()
    files = {"setup.sh": "clients/setup.sh", "rsyncsend.sh": "clients/rsyncsend.sh"}
    sources = {name: f"{CHECKOUT_AT}/{path}" for name, path in files.items() if f"`{path}`" in text}
    assert len(sources) == len(files)
    for name, source in (sources | {"register-key": "/etc/backuppc-register/register-key"}).items():
        laptop.write(f"{MARTIN.home}/{name}", dugong.read(source), owner=MARTIN.name, mode=0o600)
    sudo = f"{MARTIN.name} ALL=(ALL:ALL) NOPASSWD: ALL\n"
    laptop.write(f"/etc/sudoers.d/{MARTIN.name}", sudo, mode=0o440)


def test_readme_fits_two_screens_and_names_the_two_commands_to_try_it() -> None:
    lines = README.read_text().splitlines()

    assert len(lines) <= 120
    assert {"    ./bin/demo ", "    ./bin/test "} <= {line[:15] for line in lines[:40]}


def test_the_quick_start_is_five_commands_of_the_guide() -> None:
    section = README.read_text().partition("\n## Quick start\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^    (.*)$", section, re.MULTILINE)
    guide = re.findall(r"^    (.*)$", GUIDE.read_text(), re.MULTILINE)

    assert len(commands) == 5
    for command in commands:
        # The guide shows `init` with its options, README without: it asks then.
        assert any(line == command or line.startswith(f"{command} --") for line in guide), command


def test_every_step_has_its_commands_and_every_substitute_is_for_one() -> None:
    commands = [line for blocks in steps().values() for block in blocks for line in block.split("\n")]

    assert list(steps()) == list(range(1, LAST + 1))
    assert all(steps().values())
    for pattern in SUBSTITUTES:
        assert any(re.fullmatch(pattern, line) for line in commands), pattern


@pytest.mark.lab
def test_a_server_installed_step_by_step_finds_nothing_wrong_with_itself(dugong: BareServer) -> None:
    program = f"{CHECKOUT_AT}/bin/backuppc-register-admin"

    told = dugong.run([program, "diagnose"], timeout=60).stdout

    assert "green   configuration " in told
    assert set(re.findall(r"^(?:red|yellow) +(\S+)", told, re.MULTILINE)) <= set(LACKING), told


@pytest.fixture(scope="module")
def shown(lab: Lab, dugong: BareServer) -> str:
    """Return what a person sees who sets dormeur up by the last step."""
    dormeur = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    carried(dugong, dormeur)
    (block,) = steps()[LAST]
    with dormeur.terminal(f"cd {MARTIN.home}\nset -eu\n{block}", user=MARTIN.name) as terminal:
        while asked := terminal.expect(r"(?:(\(yes/no\)\? |logon [^\n]*: )$|Done\.)", timeout=60)[1]:
            terminal.type("cmartin" if "logon" in asked else "yes")
        assert terminal.wait() == 0, terminal.shown
        return terminal.shown


@pytest.mark.lab
def test_a_laptop_registers_by_the_last_step_and_is_backed_up(dugong: BareServer, shown: str) -> None:
    assert "backups will work" in shown
    assert dugong.owner_of("dormeur") == "cmartin"
    dugong.wait_for(lambda: '"dormeur"' not in dugong.message("status queues jobs"), "the first backup", 60)
    assert [backup.errors for backup in dugong.backups("dormeur")] == [0]
    log = dugong.run(["cat", "/var/log/backuppc-register.log"]).lines
    assert any(" success " in line and " register_key=main " in line for line in log)


@pytest.mark.lab
@pytest.mark.usefixtures("shown")
def test_owners_cannot_run_commands_through_the_web_editor_of_such_a_server(dugong: BareServer) -> None:
    page = dugong.cgi("action=editConfig&host=dormeur&newMenu=xfer", "cmartin")

    assert "RsyncShareName" in page
    assert "v_zZ_RsyncSshArgs" not in page
