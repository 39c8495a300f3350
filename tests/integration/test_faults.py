"""The system fails, or kills us, at system calls of the forced command and of every verb that writes.

After each fault, and after one plain run, nothing is lost, handed over, left behind or decided in doubt. By
default a sample that is always the same; `--faults 0` takes every call.
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from injection import Ended, Fault, Machine, machine, sampled

from backuppc_register.backuppc import hosts
from backuppc_register.state import key_pairs, safe_files
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.snapshot_file import HostsSnapshot

DORMEUR, ORQUE, MIMOSA = "dormeur", "orque", "mimosa"
KNOWN = {DORMEUR: "cmartin", ORQUE: "adupont", MIMOSA: "adupont"}
FAULTS_OF_A_REQUEST = {"could-not-register", "no-config-file"}
NEW_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9FVz3vmmHlPwZiMNxDizayZfUEYUau8+yxKndfkdzY"
FINGERPRINT = "SHA256:FzWw8hHzNqWa8o2eD7LNwkJaMAmgCbOIEKmN0nRftLk"
Work = Callable[[], tuple[int, str]]


def lose(machine: Machine, *names: str) -> None:
    """Take lines out of the hosts file, as an old page of the web editor does."""
    lines = machine.hosts.read_text().splitlines(keepends=True)
    machine.hosts.write_text("".join(line for line in lines if line.split()[0] not in names))


def no_data(machine: Machine, host: str) -> None:
    subprocess.run(["rm", "-r", machine.folder / "data/pc" / host], check=True)


def verbs(*every: tuple[str, ...]) -> Callable[[Machine], None]:
    """Return what runs verbs one after the other."""

    def prepare(machine: Machine) -> None:
        for arguments in every:
            assert machine.run(machine.verb(*arguments)).status == 0

    return prepare


def offered(machine: Machine) -> None:
    (machine.state / "hosts/dormeur/offered_key").write_text(f"{NEW_KEY}\n")


@dataclass(frozen=True)
class Case:
    """Work on *host*: what is prepared, and the hosts with their users afterwards.

    *undecided*: something is left for an administrator to decide. *doubtful*: doubt keeps the host.
    """

    work: Callable[[Machine], Work]
    host: str
    users: dict[str, str]
    prepare: Callable[[Machine], None]
    request: bool = False
    undecided: bool = False
    doubtful: bool = False


def request(text: str, host: str, users: dict[str, str], prepare: Callable[[Machine], None]) -> Case:
    return Case(lambda m: m.register(text, host), host, users, prepare, request=True)


def verb(arguments: str, host: str, users: dict[str, str], prepare: Callable[[Machine], None]) -> Case:
    return Case(lambda m: m.verb(*arguments.split()), host, users, prepare)


def verify(prepare: Callable[[Machine], None], text: str = "mac:cmartin", host: str = DORMEUR) -> Case:
    return Case(lambda m: m.verify(f"verify:{text}", host), host, KNOWN, prepare, request=True)


def registered_again(verb: tuple[str, ...], *, then: tuple[str, ...] = ()) -> Callable[[Machine], None]:
    """Return what runs *verb*, registers the host again, which gives it a fresh key, and runs *then*."""

    def prepare(machine: Machine) -> None:
        host = verb[1]
        verbs(verb)(machine)
        assert machine.run(machine.register(f"mac:{KNOWN[host]}", host)).succeeded
        if then:
            verbs(then)(machine)
        machine.pin(host)

    return prepare


def nothing(machine: Machine) -> None:
    """Prepare nothing."""


def headless(machine: Machine) -> None:
    machine.hosts.write_text(machine.hosts.read_text().partition("\n")[2])


def long_unverified(machine: Machine) -> None:
    record = machine.state / "hosts/dormeur/record.json"
    fields = json.loads(record.read_text())
    record.write_text(json.dumps(fields | {"registered": "2026-01-01T00:00:00+00:00"}))


def cleaned(machine: Machine) -> None:
    lose(machine, ORQUE)
    no_data(machine, ORQUE)


ARCHIVE = "orque_DATE"
CASES = {
    "a new host": request("mac:cmartin", "neuf", KNOWN | {"neuf": "cmartin"}, nothing),
    "an unchanged host": request("mac:cmartin", DORMEUR, KNOWN, nothing),
    "another OS word": request("linux:cmartin", DORMEUR, KNOWN, nothing),
    "a check": request("check:mac:cmartin", "neuf", KNOWN, nothing),
    "a lost line": request("mac:cmartin", DORMEUR, KNOWN, lambda m: lose(m, DORMEUR)),
    "a lost line, another person": request(
        "mac:adupont", DORMEUR, KNOWN | {DORMEUR: "adupont"}, lambda m: lose(m, DORMEUR)
    ),
    "reconcile restores": verb("reconcile", DORMEUR, KNOWN, lambda m: lose(m, DORMEUR, ORQUE)),
    "reconcile finds a deletion": verb("reconcile", ORQUE, {DORMEUR: "cmartin", MIMOSA: "adupont"}, cleaned),
    "reconcile restores the header": verb("reconcile", DORMEUR, KNOWN, headless),
    "forget": verb(
        "reconcile --forget dormeur --yes dormeur",
        DORMEUR,
        {ORQUE: "adupont", MIMOSA: "adupont"},
        lambda m: lose(m, DORMEUR),
    ),
    "reconcile releases": verb("reconcile", DORMEUR, {ORQUE: "adupont", MIMOSA: "adupont"}, long_unverified),
    "a retired host": request("mac:cmartin", DORMEUR, KNOWN, verbs(("retire", DORMEUR))),
    "retire": verb("retire dormeur", DORMEUR, KNOWN, nothing),
    "retire --final": verb("retire dormeur --final", DORMEUR, KNOWN, nothing),
    "retire --final, retired": verb("retire dormeur --final", DORMEUR, KNOWN, verbs(("retire", DORMEUR))),
    "resume": verb("resume dormeur", DORMEUR, KNOWN, verbs(("retire", DORMEUR))),
    "transfer": verb(
        "transfer orque cmartin --yes orque", ORQUE, KNOWN | {ORQUE: "cmartin", ARCHIVE: "adupont"}, nothing
    ),
    "transfer --purge": verb(
        "transfer orque cmartin --purge 3 --yes orque",
        ORQUE,
        KNOWN | {ORQUE: "cmartin", ARCHIVE: "adupont"},
        nothing,
    ),
    "transfer without data": verb(
        "transfer dormeur adupont --yes dormeur", DORMEUR, KNOWN | {DORMEUR: "adupont"}, nothing
    ),
    "transfer to administrators": verb(
        "transfer orque nobody --yes orque", ORQUE, KNOWN | {ORQUE: "nobody"}, nothing
    ),
    "purge": verb("purge orque --yes orque", ORQUE, KNOWN, nothing),
    "purge, retired for good": verb(
        "purge orque --days 3 --yes orque", ORQUE, KNOWN, verbs(("retire", ORQUE, "--final"))
    ),
    "resume, a planned purge": verb(
        "resume orque", ORQUE, KNOWN, verbs(("purge", ORQUE, "--days", "3", "--yes", ORQUE))
    ),
    "purge without data": verb(
        "purge dormeur --yes dormeur", DORMEUR, {ORQUE: "adupont", MIMOSA: "adupont"}, nothing
    ),
    "purge --due": verb(
        "purge --due",
        ORQUE,
        {DORMEUR: "cmartin", MIMOSA: "adupont"},
        verbs(("purge", ORQUE, "--days", "0", "--yes", ORQUE)),
    ),
    "verify": verify(nothing),
    "verify, retired": verify(registered_again(("retire", DORMEUR))),
    "verify, a planned purge": verify(
        registered_again(("purge", ORQUE, "--days", "3", "--yes", ORQUE)), "mac:adupont", ORQUE
    ),
    "verify, either key": verify(registered_again(("retire", DORMEUR), then=("resume", DORMEUR))),
    "resume, either key": verb("resume dormeur", DORMEUR, KNOWN, registered_again(("retire", DORMEUR))),
    "reconcile lifts a pause": Case(
        lambda m: m.with_a_pause(DORMEUR, "reconcile"), DORMEUR, KNOWN, lambda m: lose(m, DORMEUR)
    ),
    "accept-key": verb(f"accept-key dormeur {FINGERPRINT}", DORMEUR, KNOWN, offered),
}


CASES["forget"] = replace(CASES["forget"], undecided=True)
CASES["reconcile finds a deletion"] = replace(CASES["reconcile finds a deletion"], doubtful=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Machine]:
    """Give a machine with dormeur, which has no backups, and orque and mimosa, which have some."""
    with machine() as made:
        for host, person in KNOWN.items():
            assert made.run(made.register(f"mac:{person}", host)).succeeded
        for host in (ORQUE, MIMOSA):
            (made.folder / "data/pc" / host / "0").mkdir(parents=True)
            row = "0\tfull\t1700000000\t1700000100\t5\t4096\t0\t0\t0\t0\t0\n"
            (made.folder / "data/pc" / host / "backups").write_text(row)
        made.give_to_the_owner()
        assert made.run(made.verb("reconcile")).status == 0
        made.save("registered")
        yield made


def users(machine: Machine) -> dict[str, str]:
    """Return the hosts with the users of their lines; the date of an archive's name is DATE."""
    lines = hosts.read(machine.hosts).lines
    assert len({line.host for line in lines}) == len(lines)
    return {re.sub(r"_[0-9]{8}$", "_DATE", line.host): line.user for line in lines}


def privates(machine: Machine) -> dict[Path, str]:
    """Return the private keys of all hosts, without their first and last line."""
    keys = [*machine.state.glob("hosts/*/key"), *machine.state.glob("hosts/*/*_key")]
    keys = [path for path in keys if path.name != "offered_key"]
    return {path: path.read_text().split("\n", 1)[1].rsplit("\n", 2)[0] for path in keys}


def left(machine: Machine) -> list[str]:
    """Return the temporary files and folders."""
    names = (str(path.relative_to(machine.folder)) for path in machine.folder.rglob("*"))
    return [n for n in names if n.endswith(".backuppc-register") or "/.new" in n or "backuppc-register-" in n]


def fixed(machine: Machine, host: str) -> dict[str, bytes]:
    """Return the lines, records, keys and settings of all other hosts."""
    found = {}
    for other in KNOWN:
        if other != host:
            folder = machine.state / "hosts" / other
            for path in (folder / "key", folder / "record.json", machine.folder / f"etc/{other}.pl"):
                found[str(path)] = path.read_bytes()
            lines = hosts.read(machine.hosts).written_for(other)
            found[other] = b"".join(line.raw for line in lines)
    return found


def check_after_the_fault(
    machine: Machine, case: Case, ended: Ended, fault: Fault, before: dict[str, bytes]
) -> None:
    """Check that no other host changed, no secret was printed, and the answer is a fault."""
    after = fixed(machine, case.host)
    for name, content in before.items():
        now = after[name]
        assert now == content or not content, name  # a lost line may be back
    if ended.status == -9:
        assert fault.kind == "SIGKILL"
    elif case.request:
        allowed = FAULTS_OF_A_REQUEST | ({"misconfigured"} if fault.kind == "EACCES" else set())
        assert ended.succeeded or ended.code in allowed, ended
        # 2: if the folder of BackupPC cannot be looked at, the account seems to be wrong.
        assert ended.status in ((0,) if ended.succeeded else (73, 75, 78, 2)), ended
        assert len(ended.logged) == 1 or fault.kind == "SIGKILL"
    else:
        assert ended.status in (0, 1) or (ended.status, fault.kind) == (2, "EACCES"), ended
    said = ended.said + "".join(ended.logged)
    assert not [path for path, text in privates(machine).items() if text in said]
    if ended.succeeded and case.work is not CASES["a check"].work:
        assert HostFolders(machine.state).is_whole(case.host)
        assert users(machine)[case.host] == case.users[case.host]


def check_at_the_end(machine: Machine, case: Case, ended: Ended) -> None:
    """After a plain run all is as without the fault."""
    again = machine.run(case.work(machine))
    assert again.succeeded if case.request else again.status in (0, 1), again
    if case.request:
        assert not left(machine)
    if ended.succeeded and "key: " in ended.said:
        key = re.search("^key: (.*)$", ended.said, re.MULTILINE)
        assert key is not None
        assert key[1] in again.said
    machine.run(machine.verb("reconcile"))
    told = machine.run(machine.verb("reconcile", "--json")).said
    assert json.loads(told)["news"] == []
    assert case.undecided == bool(json.loads(told)["undecided"])
    # In doubt the line of a deleted host is restored.
    in_doubt = case.users | ({case.host: KNOWN[case.host]} if case.doubtful else {})
    assert users(machine) in (case.users, in_doubt)
    assert not left(machine)
    known = HostsSnapshot(machine.state).read()
    data = {host for host in known if (machine.folder / "data/pc" / host / "0").exists()}
    assert {host for host, seen in known.items() if seen.data} - {case.host} == data - {case.host}
    aside = machine.aside.rglob("key") if machine.aside.exists() else ()
    copies = [safe_files.content(path) for path in aside]
    assert len(set(copies)) == len(copies)
    for host in known:
        folder = machine.state / "hosts" / host
        if (folder / "key").exists():
            assert key_pairs.public_key(folder)


@pytest.mark.lab
@pytest.mark.parametrize("name", CASES)
def test_no_fault_at_a_system_call_loses_or_gives_away_anything(
    server: Machine, name: str, request: pytest.FixtureRequest
) -> None:
    case = CASES[name]
    server.restore("registered")
    case.prepare(server)
    server.give_to_the_owner()
    server.save("prepared")
    faults = server.faults_of(case.work(server))
    assert len(faults) > 100
    for fault in sampled(faults, name, request.config.getoption("faults")):
        server.restore("prepared")
        before = fixed(server, case.host)
        ended = server.fail(case.work(server), fault)
        try:
            check_after_the_fault(server, case, ended, fault, before)
            check_at_the_end(server, case, ended)
        except AssertionError as error:
            raise AssertionError(f"{name}: {fault}: {ended}") from error
