"""The checks of a server one by one, on folders of a test's own, and what becomes of their findings."""

import ast
import io
import re
import socket
import threading
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from admin_door import admin_site
from advice import useless
from broken_server import HEADER, bad, facts_of
from pytest_mock import MockerFixture
from services.slapd import Slapd

from backuppc_register import config
from backuppc_register.admin import diagnose, partial_config
from backuppc_register.admin.context import Start
from backuppc_register.backuppc import hosts, installation
from backuppc_register.backuppc.settings import SettingsReader
from backuppc_register.diagnosis import (
    backup_checks,
    directory_kind_checks,
    dns_checks,
    hosts_file_checks,
    ldap_checks,
    machine_checks,
    sshd_checks,
    version_checks,
    web_checks,
    web_request_checks,
)
from backuppc_register.diagnosis.checks import CHECKS
from backuppc_register.diagnosis.finding import Answer, Check, Finding, Level, examine, green, red, yellow
from backuppc_register.diagnosis.server_facts import ServerFacts
from backuppc_register.inventory.server import Server
from backuppc_register.network import banner, directory_facts, reverse_dns
from backuppc_register.protocol.errors import (
    BadUser,
    DirectoryUnavailable,
    InvalidDnsName,
    Misconfigured,
    StateError,
)
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.records import Record
from backuppc_register.system import log_daemons, processes


@pytest.fixture
def facts(tmp_path: Path) -> ServerFacts:
    return facts_of(tmp_path)


def write_hosts(facts: ServerFacts, content: bytes) -> None:
    facts.config.backuppc.hosts.write_bytes(content)


def set_perl(facts: ServerFacts, text: str) -> None:
    (facts.config.backuppc.config_dir / "config.pl").write_text(text + "\n1;\n")


class TestExamine:
    def test_a_check_that_breaks_is_a_red_finding_beside_what_it_found(self, facts: ServerFacts) -> None:
        def check(_: ServerFacts) -> Iterator[Answer]:
            yield green("one thing")
            raise KeyError("oops")

        found = examine(Check("shaky", check, "chmod it"), facts)

        assert [one.level for one in found] == [Level.GREEN, Level.RED]
        assert "KeyError: 'oops'" in found[1].what
        assert found[1].advice

    @pytest.mark.parametrize("error", [OSError(13, "Permission denied"), StateError(detail="Permission d")])
    def test_what_cannot_be_looked_at_is_red_with_the_checks_own_advice(
        self, facts: ServerFacts, error: Exception
    ) -> None:
        def check(_: ServerFacts) -> Iterator[Answer]:
            yield green("one thing")
            raise error

        good, found = examine(Check("closed", check, "chmod it"), facts)

        assert (good.level, found.level) == (Level.GREEN, Level.RED)
        assert "Permission d" in found.what
        assert found.advice == "chmod it"

    def test_a_check_without_a_word_is_green(self, facts: ServerFacts) -> None:
        assert examine(Check("quiet", lambda _: [], "x"), facts) == [
            Finding("quiet", Level.GREEN, "nothing wrong")
        ]

    def test_red_is_worse_than_yellow(self) -> None:
        assert max(yellow("a", "b"), red("a", "b"), green("a"))[0] is Level.RED


@pytest.mark.parametrize("name", CHECKS)
def test_no_check_breaks_on_a_server_where_everything_is_gone(facts: ServerFacts, name: str) -> None:
    nothing = {"backuppc": {"hosts": "/nowhere/hosts", "config_dir": "/nowhere", "data_dir": "/nowhere"}}
    bare = replace(
        facts,
        server=Server(config.as_far_as_readable(nothing), "backuppc", HostFolders(Path("/nowhere"))),
        config_path=Path("/nowhere/config.toml"),
        problem="no such file",
        home=Path("/nowhere"),
    )

    assert not [one for one in examine(CHECKS[name], bare) if "does not work" in one.what]


class Broken:
    """A server of which nothing can be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise StateError(detail=f"{name} is broken")


OF_THE_MACHINE = {"backuppc", "program", "libraries"}  # what they look at is at a fixed place


@pytest.mark.parametrize("name", sorted({*CHECKS} - OF_THE_MACHINE))
def test_every_check_has_advice_for_where_it_cannot_look(name: str) -> None:
    found = examine(CHECKS[name], Broken())  # type: ignore[arg-type]

    assert [one.level for one in found if "is broken" in one.what] == [Level.RED]
    assert not [one.advice for one in found if useless(one.advice)]


def advice_of(module: ModuleType) -> Iterator[str]:
    """Give every advice that the checks of *module* can have, X for what is filled in."""
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id in {"red", "yellow", "listed"}:
                told = call.args[-1]
                if isinstance(told, ast.Name):
                    before = [one for one in assigned if one.lineno < call.lineno and names(one, told.id)]
                    told = before[-1].value if before else told
                yield str(getattr(module, told.id)) if isinstance(told, ast.Name) else text_of(told)


def names(assignment: ast.Assign, name: str) -> bool:
    return isinstance(assignment.targets[0], ast.Name) and assignment.targets[0].id == name


def text_of(told: ast.expr) -> str:
    if isinstance(told, ast.JoinedStr):
        return "".join(text_of(part) for part in told.values)
    if isinstance(told, ast.Constant):
        return str(told.value)
    if "_ADMIN" in ast.unparse(told):
        return "backuppc-register-admin"
    return "/etc/X" if re.search(r"path|folder|hosts|parent|place", ast.unparse(told)) else "X"


CHECK_MODULES = sorted({import_module(check.run.__module__) for check in CHECKS.values()}, key=str)


@pytest.mark.parametrize("module", CHECK_MODULES, ids=lambda module: str(module.__name__))
def test_every_advice_is_the_administrators_and_names_a_file_a_command_or_a_setting(
    module: ModuleType,
) -> None:
    told = list(advice_of(module))

    assert told
    assert [advice for advice in told if useless(advice)] == []


class TestThroughTheProgram:
    """A server in ruins, looked at as an administrator does."""

    RUINS = (
        ("hosts-file", lambda site: site.hosts.unlink()),
        ("hosts-file", lambda site: site.hosts.chmod(0)),
        ("state", lambda site: site.state.rename(f"{site.state}.away")),
        ("reconcile", lambda site: (site.state / "ledger").write_text("half")),
        ("undecided", lambda site: (site.state / "hosts/dormeur/record.json").write_text("{")),
        ("backuppc-config", lambda site: None),  # there is no config.pl
        ("authorized-keys", lambda site: None),
        ("configuration", lambda site: site.config.write_text("[server]")),
        ("top-dir", lambda site: (site.folder / "data/pc").rmdir()),
    )

    @pytest.mark.parametrize(
        ("users", "level", "words"),
        [
            (["aaa-gone", "bbb-gone", "cmartin"], "green", "cmartin found"),
            (["aaa-gone", "bbb-gone"], "yellow", "does not know aaa-gone or bbb-gone"),
            ([], "green", "no person to look for"),
        ],
    )
    def test_that_one_person_has_left_is_no_fault_of_the_directory(
        self, users: list[str], level: str, words: str
    ) -> None:
        with Slapd() as slapd, admin_site() as site:
            site.config.write_text(site.config.read_text().replace("ldap://127.0.0.1:1", slapd.ldap()))
            for user in users:
                site.add_line(f"of-{user} 0 {user}")

            (found,) = site.told("diagnose", "--only", "directory")

        assert found["level"] == level
        assert words in found["what"]

    def test_without_a_host_a_reconcile_that_ran_is_no_alarm_until_it_is_old(self) -> None:
        with admin_site() as site:
            site.run("reconcile")
            now = site.told("diagnose", "--only", "reconcile")
            (site.state / "reconciled").write_text("2026-05-28T20:26:40+00:00\n")
            later = site.told("diagnose", "--only", "reconcile")

        assert [one["level"] for one in now] == ["green"]
        assert [one["level"] for one in later] == ["red"]
        assert "last ran at 2026-05-28T" in later[0]["what"]

    @pytest.mark.parametrize(("check", "ruin"), RUINS)
    def test_no_advice_sends_the_administrator_to_the_administrator(self, check: str, ruin: Any) -> None:
        with admin_site() as site:
            site.add_host("dormeur")
            ruin(site)

            found = [one for one in site.told("diagnose") if one["level"] != "green"]

        assert check in {one["name"] for one in found}
        assert not [one for one in found if useless(one["advice"])]
        assert not [one for one in found if "does not work" in one["what"]]


NAMES = {
    "dormeur": False, "lab-12": False, "poolside": False, "pppoe": False, "dynamo": False,
    "pc-2026-11": False, "wifi": True, "dhcp-10": True, "dhcp12.univ-brest.fr": True, "vpn-a": True,
    "pc-vpn": True, "host-10-1-2-3": True, "guest7": True, "dyn.univ-brest.fr": True,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_a_pool(facts: ServerFacts, name: str) -> None:
    write_hosts(facts, HEADER + f"{name} 0 cmartin\n".encode())

    assert bool(bad(hosts_file_checks.hosts_file, facts)) == NAMES[name]


ADMINS = [
    ("backuppc", []),
    ("backuppc jean", []),
    ("backuppc cmartin", []),  # named as such, and has a laptop
    ("cmartin-admin", [Level.RED]),
    ("x.cmartin", [Level.RED]),
    ("xcmartin", []),
    ("jean-admin", [Level.YELLOW]),
    ("*", [Level.RED]),
    ("", []),
]


@pytest.mark.parametrize(("admins", "levels"), ADMINS)
def test_who_is_an_administrator_by_chance(facts: ServerFacts, admins: str, levels: list[Level]) -> None:
    set_perl(facts, f"$Conf{{CgiAdminUsers}} = '{admins}';")

    assert [level for level, _ in bad(web_checks.admin_users, facts)] == levels


EDITABLE = [
    ("RsyncSshArgs", "1", Level.RED),
    ("PingCmd", "1", Level.RED),
    ("RsyncSshArgs", "0", None),
    ("RsyncSshArgs", "''", None),
    ("FullKeepCnt", "1", Level.YELLOW),
    ("EMailNotifyOldBackupDays", "1", Level.YELLOW),
    ("TarShareName", "1", Level.YELLOW),
    ("RsyncShareName", "1", None),
]


@pytest.mark.parametrize(("setting", "value", "level"), EDITABLE)
def test_what_owners_may_edit(facts: ServerFacts, setting: str, value: str, level: Level | None) -> None:
    set_perl(facts, f"$Conf{{CgiUserConfigEdit}}{{{setting}}} = {value};")

    assert [one for one, _ in bad(web_checks.web_editor, facts)] == ([level] if level else [])


def test_an_editor_that_is_closed_to_owners_is_no_danger(facts: ServerFacts) -> None:
    closed = "$Conf{CgiUserConfigEditEnable} = 0;"
    set_perl(facts, "$Conf{CgiUserConfigEdit}{RsyncSshArgs} = 1;" + closed)

    assert bad(web_checks.web_editor, facts) == []


class TestMainConfig:
    def read(self, facts: ServerFacts) -> dict[str, Any]:
        return SettingsReader(facts.config.backuppc).main(20)

    def test_what_config_pl_sets_and_not_what_it_prints(self, facts: ServerFacts) -> None:
        odd = "$Conf{X} = sub {}; $Conf{L} = [1, {a => undef}];"
        set_perl(facts, f"print 'x'; $Conf{{TopDir}} = '/srv/é'; {odd}")

        told = self.read(facts)

        assert told["TopDir"].encode("latin-1").decode() == "/srv/é"
        assert told["L"] == [1, {"a": None}]

    @pytest.mark.parametrize("text", ["$Conf{", "die('no');", "exit(3);"])
    def test_a_mistake_is_a_fault(self, facts: ServerFacts, text: str) -> None:
        set_perl(facts, text)

        with pytest.raises(Misconfigured):
            self.read(facts)

    def test_one_that_takes_too_long_is_a_fault(self, facts: ServerFacts) -> None:
        set_perl(facts, "sleep(30);")

        with pytest.raises(Misconfigured):
            SettingsReader(facts.config.backuppc).main(0.5)

    def test_none_at_all_is_a_fault(self, facts: ServerFacts) -> None:
        with pytest.raises(Misconfigured, match=r"config\.pl"):
            self.read(facts)


def test_a_lock_that_is_a_link_is_red_and_none_at_all_is_not(facts: ServerFacts) -> None:
    assert bad(hosts_file_checks.lock, facts) == []
    (facts.config.backuppc.config_dir / "LOCK").symlink_to("/dev/null")

    assert [level for level, _ in bad(hosts_file_checks.lock, facts)] == [Level.RED]


def test_looking_at_the_hosts_file_makes_no_lock(facts: ServerFacts) -> None:
    assert len(facts.hosts.lines) == 1
    assert not (facts.config.backuppc.config_dir / "LOCK").exists()


def test_lines_that_say_something_and_are_skipped() -> None:
    content = HEADER + b"a 0 b\n 1x 0 b\n\n# c\n   # d\nalone\na/b 0 c\n2001:db8::1 0 c"

    assert hosts.skipped(content) == (" 1x 0 b", "alone", "a/b 0 c", "2001:db8::1 0 c")


@pytest.mark.parametrize(
    ("content", "there"),
    [(HEADER, True), (b"# x\nhost dhcp user\n", True), (b"", False), (b"# x\n", False), (b"a 0 b\n", False)],
)
def test_whether_there_is_a_header(content: bytes, there: bool) -> None:
    assert hosts.has_header(content) is there


class TestSshd:
    @pytest.fixture
    def listening(self) -> Iterator[tuple[int, list[bytes]]]:
        said = [b"SSH-2.0-OpenSSH\r\n"]
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                while True:
                    try:
                        channel, _ = server.accept()
                    except OSError:
                        return
                    with channel, suppress(OSError):
                        channel.sendall(said[0])

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            yield server.getsockname()[1], said
            server.shutdown(socket.SHUT_RDWR)
            thread.join()

    SETTINGS: tuple[tuple[dict[str, str], str | None], ...] = (
        ({}, None),
        ({"usepam": "no"}, "usepam no"),
        ({"forcecommand": "/bin/false"}, "forcecommand"),
        ({"allowusers": "root admin@192.0.2.1"}, "shuts"),
        ({"allowusers": "root backuppc"}, None),
        ({"allowusers": "root b*"}, None),
        ({"denyusers": "backuppc"}, "shuts"),
        ({"denyusers": "root"}, None),
        ({"allowgroups": "people"}, "shuts"),
        ({"allowgroups": "backuppc people"}, None),
    )

    @pytest.mark.parametrize(("told", "words"), SETTINGS)
    def test_settings_that_shut_the_account_out(
        self, facts: ServerFacts, listening: Any, told: dict[str, str], words: str | None
    ) -> None:
        sshd = {"port": str(listening[0]), **told}

        found = bad(sshd_checks.sshd, replace(facts, sshd=sshd))

        assert [words in what for _, what in found if words] == ([True] if words else [])
        assert bool(found) == bool(words)

    def test_something_else_on_its_port_is_red(self, facts: ServerFacts, listening: Any) -> None:
        port, said = listening
        said[0] = b"220 mail\r\n"

        assert "is no sshd" in bad(sshd_checks.sshd, replace(facts, sshd={"port": str(port)}))[0][1]

    @pytest.mark.parametrize("address", ["127.0.0.1:{}", "[::1]:1 0.0.0.0:{}", "[::]:1 127.0.0.1:{}"])
    def test_it_is_asked_where_it_listens(self, facts: ServerFacts, listening: Any, address: str) -> None:
        told = {"port": "1", "listenaddress": address.format(listening[0])}

        assert bad(sshd_checks.sshd, replace(facts, sshd=told)) == []

    def test_where_it_listens_nowhere_is_told(self, facts: ServerFacts) -> None:
        told = {"listenaddress": "[::1]:1 127.0.0.1:1"}

        ((level, what),) = bad(sshd_checks.sshd, replace(facts, sshd=told))

        assert level is Level.RED
        assert "does not answer on 127.0.0.1, port 1" in what


@pytest.mark.parametrize(
    ("status", "text", "levels"),
    [
        (200, '<link href="image/BackupPC_stnd.css">', [Level.RED]),
        (200, "Please log in", []),
        (401, '<link href="image/BackupPC_stnd.css">', []),
        (302, "", []),
        (404, "", []),
    ],
)
def test_pages_that_ask_for_a_login_and_pages_that_do_not(
    facts: ServerFacts, mocker: MockerFixture, status: int, text: str, levels: list[Level]
) -> None:
    mocker.patch.object(banner, "page", return_value=banner.Page(status, text))

    assert [level for level, _ in bad(web_checks.web, facts)] == levels


@pytest.mark.parametrize(
    ("url", "statuses", "words"),
    [
        ("https", (401, 403), "green the web pages refuse"),
        ("https", (302, 403), "green the web pages refuse"),
        ("https", (401, 401), "yellow a link of any web site"),
        ("https", (200, 200), "yellow a link of any web site"),
        ("https", (302, 302), "yellow a link of any web site"),
        ("https", (403, 403), "yellow it is not known"),
        ("https", (404, 404), "yellow it is not known"),
        ("https", (401, 502), "yellow it is not known"),
        ("http", (401, 403), "green the web pages refuse, yellow over http"),
    ],
)
def test_whether_other_sites_can_change_settings_is_seen_by_a_request_of_theirs(
    facts: ServerFacts, mocker: MockerFixture, url: str, statuses: tuple[int, int], words: str
) -> None:
    def page(url: str, timeout: float, headers: dict[str, str]) -> banner.Page:
        assert url.startswith(f"{scheme}://dugong/?action=")
        return banner.Page(statuses[headers["Sec-Fetch-Site"] == "cross-site"], "")

    scheme = url
    mocker.patch.object(banner, "page", page)
    server = replace(facts.server, config=with_url(facts.config, f"{scheme}://dugong/?host={{host}}"))
    found = [
        f"{level} {what}" for level, what, _ in web_request_checks.requests(replace(facts, server=server))
    ]

    assert [one.startswith(word) for one, word in zip(found, words.split(", "), strict=True)] == [True] * len(
        found
    )


def with_url(settings: config.Config, url: str) -> config.Config:
    return replace(settings, server=replace(settings.server, url=url))


def test_a_web_server_that_does_not_answer_leaves_it_open(facts: ServerFacts, mocker: MockerFixture) -> None:
    mocker.patch.object(banner, "page", side_effect=OSError("refused"))

    ((level, what, _),) = web_request_checks.requests(facts)

    assert (level, "cannot be checked" in what) == (Level.YELLOW, True)


ANSWERS = {
    (0.02, True, "cmartin"): (Level.GREEN, "answered in 20 ms, cmartin found"),
    (1.5, True, "cmartin"): (Level.YELLOW, "took 1.5 s"),
    (0.02, False, "cmartin"): (Level.YELLOW, "does not know cmartin"),
    (0.02, False, ""): (Level.GREEN, "no person to look for"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_how_fast_a_directory_finds_a_test_entry(
    facts: ServerFacts, mocker: MockerFixture, answer: tuple[float, bool, str]
) -> None:
    (took, found, logon), (level, words) = answer, ANSWERS[answer]
    outcome = {"return_value": None} if found else {"side_effect": BadUser(logon="x")}
    mocker.patch("backuppc_register.network.ldap.Ldap.find", **outcome)
    mocker.patch.object(time, "monotonic", side_effect=[100.0, 100.0 + took])
    write_hosts(facts, HEADER)

    ((how, what, _),) = ldap_checks.directory(replace(facts, logon=logon))

    assert (how, words in what) == (level, True), what


def test_a_directory_that_cannot_say_no_is_yellow(facts: ServerFacts, mocker: MockerFixture) -> None:
    find = mocker.patch("backuppc_register.network.ldap.Ldap.find")
    find.side_effect = [None, DirectoryUnavailable(detail="refers to other servers")]

    ((level, what, advice),) = ldap_checks.directory(replace(facts, logon="cmartin"))

    assert (level, what) == (Level.YELLOW, "refers to other servers")
    assert "mistyped" in advice


SHOWN = [
    ("openldap", "openldap", True, True, "(uid={logon})", []),
    ("", "openldap", True, True, "(uid={logon})", []),
    ("ad", "openldap", True, True, "(&(objectClass=user)(cn={logon}))", ['kind is "openldap"']),
    ("freeipa", "ad", True, True, "(uid={logon})", ['kind is "ad"']),
    ("ad", "ad", True, True, "(sAMAccountName={logon})", ["groups and computers"]),
    ("ad", "ad", True, True, "(&(sAMAccountType=805306368)(sAMAccountName={logon}))", []),
    ("freeipa", "freeipa", False, True, "(uid={logon})", ["no lasting identity of cmartin"]),
    ("freeipa", "freeipa", True, False, "(uid={logon})", ["does not show nsAccountLock"]),
    ("openldap", "openldap", True, False, "(uid={logon})", ["does not show pwdAccountLockedTime"]),
]


@pytest.mark.parametrize("shown", SHOWN)
def test_what_a_directory_shows_is_compared_with_its_kind(
    facts: ServerFacts, mocker: MockerFixture, shown: tuple[str, str, bool, bool, str, list[str]]
) -> None:
    kind, configured, identity, locks, wanted, told = shown
    seen = directory_facts.Seen(kind, "cmartin", identity, locks)
    mocker.patch.object(directory_facts, "look", return_value=seen)
    directory = replace(facts.config.directory, kind=configured, filter=wanted)
    server = replace(facts.server, config=replace(facts.config, directory=directory))

    answers = list(directory_kind_checks.directory_kind(replace(facts, server=server)))

    assert [level for level, _, _ in answers] == ([Level.YELLOW] * len(told) or [Level.GREEN])
    assert all(words in what for words, (_, what, _) in zip(told, answers, strict=False))
    assert all("directories.md" in advice for level, _, advice in answers if level is Level.YELLOW)


def test_a_directory_that_does_not_answer_is_not_taken_for_one_of_the_right_kind(
    facts: ServerFacts, mocker: MockerFixture
) -> None:
    mocker.patch.object(directory_facts, "look", side_effect=DirectoryUnavailable(detail="refused"))

    ((level, what, _),) = directory_kind_checks.directory_kind(facts)
    assert (level, what) == (Level.YELLOW, "cannot be compared with [directory] kind: refused")


class TestClients:
    @pytest.mark.parametrize(
        ("rsync", "wall", "told"),
        [
            ("3.2.7", "namespace", [(Level.YELLOW, "rsync before 3.4: dormeur (3.2.7)")]),
            ("v3.3.0", "sandbox", [(Level.YELLOW, "rsync before 3.4: dormeur (v3.3.0)")]),
            ("3.4.1", "namespace", [(Level.GREEN, "1 machines reported")]),
            ("3.5.0", "confine-root", [(Level.GREEN, "1 machines reported")]),
            ("openrsync 29", "sandbox", [(Level.GREEN, "1 machines reported")]),
            ("3.4.1", "", [(Level.YELLOW, "without a wall around rsync: dormeur (3.4.1)")]),
            ("3.4.1", "none", [(Level.YELLOW, "without a wall around rsync: dormeur (3.4.1)")]),
            ("3.5.0", "", [(Level.YELLOW, "without a wall around rsync: dormeur (3.5.0)")]),
            ("3.5.0", "\x1b[2J\n", [(Level.YELLOW, "without a wall around rsync: dormeur (3.5.0)")]),
            ("", "", [(Level.YELLOW, "without a wall around rsync: dormeur (unknown)")]),
            ("3.2.7", "", [(Level.YELLOW, "rsync before 3.4"), (Level.YELLOW, "without a wall")]),
        ],
    )
    def test_an_old_rsync_and_a_missing_wall_are_told(
        self, facts: ServerFacts, rsync: str, wall: str, told: list[tuple[Level, str]]
    ) -> None:
        self.verified(facts, "dormeur", rsync=rsync, wall=wall)

        answers = list(version_checks.clients(facts))

        assert [level for level, _, _ in answers] == [level for level, _ in told]
        assert all(words in what for (_, what, _), (_, words) in zip(answers, told, strict=True))

    def test_many_machines_without_a_wall_are_one_line(self, facts: ServerFacts) -> None:
        for number in range(30):
            self.verified(facts, f"pc{number:02}", rsync="3.4.1")
        self.verified(facts, "walled", rsync="3.4.1", wall="namespace")

        ((level, what, advice),) = version_checks.clients(facts)

        assert (level, what.count("3.4.1"), what[-12:]) == (Level.YELLOW, 5, " and 25 more")
        assert ("walled" in what, "\n" in what) == (False, False)
        assert ("--repair" in advice, "before 3.5" in advice) == (True, True)

    def test_a_retired_machine_needs_no_wall(self, facts: ServerFacts) -> None:
        self.verified(facts, "dormeur", rsync="3.4.1", retired="2026-11-24T12:00:00+00:00")

        assert list(version_checks.clients(facts)) == []

    @staticmethod
    def verified(facts: ServerFacts, host: str, *, rsync: str, wall: str = "", retired: str = "") -> None:
        person = ("cmartin", "", "linux", "10.0.0.9", "2026-11-22T12:00:00+00:00", "")
        proved = ("2026-11-23T12:00:00+00:00", retired)
        record = Record(host, f"{host}.univ-brest.fr", *person, *proved, rsync=rsync, wall=wall)
        HostFolders(facts.config.state.directory).create(record)

    def test_machines_that_were_never_verified_tell_nothing(self, facts: ServerFacts) -> None:
        person = ("cmartin", "", "linux", "10.0.0.9", "2026-11-22T12:00:00+00:00", "")
        HostFolders(facts.config.state.directory).create(Record("sirene", "sirene.univ-brest.fr", *person))

        assert list(version_checks.clients(facts)) == []


class TestMetrics:
    FOUND = (
        Finding("lock", Level.GREEN, "x"),
        Finding("dns", Level.YELLOW, "x", "y"),
        Finding("dns", Level.RED, "x", "y"),
        Finding("dns", Level.GREEN, "x"),
    )

    def test_the_worst_of_each_check_counts(self, tmp_path: Path) -> None:
        diagnose._write_metrics(tmp_path / "backuppc.prom", self.FOUND)

        lines = (tmp_path / "backuppc.prom").read_text().splitlines()
        values = [line for line in lines if line.startswith("backuppc_register_check{")]
        assert values == ['backuppc_register_check{check="lock"} 0', 'backuppc_register_check{check="dns"} 2']
        assert lines[-1].startswith("backuppc_register_diagnosed_timestamp_seconds 1")
        assert (tmp_path / "backuppc.prom").stat().st_mode & 0o777 == 0o644

    def test_a_file_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="--prometheus"):
            diagnose._write_metrics(tmp_path / "nowhere" / "backuppc.prom", self.FOUND)


class TestPrinted:
    def told(self, found: list[Finding], *, terminal: bool = False, quiet: bool = False) -> str:
        out = io.StringIO()
        out.isatty = lambda: terminal  # type: ignore[method-assign]
        diagnose._print(Start(Path(), "chef", out, io.StringIO()), found, quiet=quiet)
        return out.getvalue()

    def test_advice_stands_below_and_the_sum_at_the_end(self) -> None:
        lines = self.told([Finding("dns", Level.RED, "is down", "start it")]).splitlines()

        assert lines[0].split() == ["red", "dns", "is", "down"]
        assert lines[1].strip() == "-> start it"
        assert lines[2] == "1 red, 0 yellow, 0 green"

    def test_the_worst_comes_first_and_equals_stay_in_their_order(self) -> None:
        found = [Finding(name, Level(n), "x", "y") for name, n in zip("abcd", (0, 2, 1, 2), strict=True)]

        lines = [line.split()[1] for line in self.told(found).splitlines() if " x" in line]

        assert lines == ["b", "d", "c", "a"]

    def test_quiet_says_nothing_of_what_is_well(self) -> None:
        assert self.told([Finding("dns", Level.GREEN, "is up")], quiet=True) == ""
        assert "is up" in self.told([Finding("dns", Level.GREEN, "is up")])

    def test_colours_are_for_terminals_and_nobody_elses_bytes_reach_them(self) -> None:
        told = self.told([Finding("hosts-lines", Level.RED, "\x1b[2J", "x")], terminal=True)

        assert "\x1b[31mred" in told
        assert "\\x1b[2J" in told
        assert "\x1b[2J" not in told
        assert "\x1b" not in self.told([Finding("hosts-lines", Level.RED, "x", "x")])


def test_a_key_with_a_mistake_leaves_the_rest_of_the_configuration_readable() -> None:
    told = config.as_far_as_readable({"directory": {"servers": ["ldaps://ldap"], "timeout": "5"}, "dns": 3})

    assert told.directory.servers == ("ldaps://ldap",)
    assert told.directory.timeout == 5
    assert told.dns.domains == ()


def test_where_no_folder_tells_the_account_that_is_said(tmp_path: Path, mocker: MockerFixture) -> None:
    mocker.patch.object(installation, "CONFIG_DIRS", ("/nowhere",))
    mocker.patch.object(partial_config, "_STATE", "/nowhere")
    start = Start(tmp_path / "config.toml", "chef", io.StringIO(), io.StringIO())
    (tmp_path / "config.toml").write_text("[backuppc]\ndata_dir = '/nowhere'\n")

    with pytest.raises(Misconfigured, match="Is BackupPC installed"):
        diagnose.run_alone(start, Namespace(logon="", only=None, json=True, quiet=False, prometheus=None))


@pytest.mark.parametrize(("said", "levels"), [("no", [Level.YELLOW]), ("yes", []), ("", [])])
def test_a_clock_that_nothing_keeps_right(
    facts: ServerFacts, mocker: MockerFixture, said: str, levels: list[Level]
) -> None:
    mocker.patch.object(machine_checks, "_synchronized", return_value=said)

    assert [level for level, _ in bad(machine_checks.clock, facts)] == levels


def test_a_systemd_that_is_not_there_says_nothing_about_the_clock(mocker: MockerFixture) -> None:
    mocker.patch.object(processes, "run", side_effect=FileNotFoundError)

    assert machine_checks._synchronized() == ""


@pytest.mark.parametrize("name", ["", "metrics", "/etc/cron.d/x", ".prom/x", "a.prom.txt"])
def test_no_file_but_one_for_prometheus_is_written(name: str) -> None:
    assert diagnose.metrics_file("/srv/a.prom") == Path("/srv/a.prom")
    with pytest.raises(ArgumentTypeError, match="does not end in"):
        diagnose.metrics_file(name)


DAY = 86400


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], []),
        ([("full", 2000, 9)], []),
        ([("full", 2000, 9), ("incr", 2000, 2), ("incr", 201, 1)], []),
        ([("full", 2000, 9), ("incr", 199, 1)], ["dormeur (199 of 2000)"]),
        ([("full", 2000, 9), ("full", 0, 1)], ["dormeur (0 of 2000)"]),
        ([("full", 99, 9), ("full", 1, 1)], []),  # too few to tell
        ([("full", 2000, 9), ("partial", 5, 1)], []),  # it goes on later
        ([("full", 2000, 9), ("incr", 5, 2), ("incr", 1990, 1)], []),  # as before again
        ([("full", 2000, 9), ("active", 0, 2)], ["for over a day", "dormeur"]),
        ([("full", 2000, 9), ("active", 0, 0)], []),
    ],
)
def test_backups_that_shrank_or_never_end_are_yellow(
    facts: ServerFacts, rows: list[tuple[str, int, int]], words: list[str]
) -> None:
    folder, now = facts.config.backuppc.data_dir / "pc/dormeur", int(time.time())
    folder.mkdir()
    lines = (
        f"{n}\t{kind}\t{now - age * DAY}\t\t{files}\t1\t0\t0\t0\t0\t0\t0\n"
        for n, (kind, files, age) in enumerate(rows)
    )
    (folder / "backups").write_text("".join(lines))

    found = [(level, what) for level, what, _ in backup_checks.saved(facts) if level is not Level.GREEN]

    assert [level for level, _ in found] == [Level.YELLOW] * bool(words)
    assert all(word in found[0][1] for word in words)


def test_a_list_of_backups_that_cannot_be_read_is_not_well(facts: ServerFacts) -> None:
    (facts.config.backuppc.data_dir / "pc/dormeur").mkdir()
    (facts.config.backuppc.data_dir / "pc/dormeur/backups").write_text("0\tfull\tsoon\n")

    levels = {what: level for level, what, _ in backup_checks.saved(facts)}

    assert levels["the list of backups cannot be read: dormeur"] is Level.YELLOW
    assert "the backups of 0 of 1 hosts checked" in levels


@pytest.mark.parametrize(
    ("fhs", "folder", "words"),
    [
        (1, "", "/etc/pc, which is not there"),
        (1, "pc", ""),
        (0, "", ""),
        (0, "pc", "/etc, not in the folder"),
    ],
)
def test_where_backuppc_reads_the_settings_of_hosts(
    facts: ServerFacts, tmp_path: Path, fhs: int, folder: str, words: str
) -> None:
    main = tmp_path / "bpc/lib/BackupPC/Lib.pm"
    main.parent.mkdir(parents=True)
    main.write_text(f"    my $useFHS = {fhs};\n        Version => '4.4.0'\n")
    places = replace(facts.config.backuppc, install_dir=str(tmp_path / "bpc"))
    (places.config_dir / folder).mkdir(exist_ok=True)
    server = replace(facts.server, config=replace(facts.config, backuppc=places))

    found = bad(version_checks.backuppc, replace(facts, server=server))

    assert len(found) == bool(words)
    assert all(words in what for _, what in found)


OWN_FILE = str(log_daemons.LOG)


@pytest.mark.parametrize(
    "case",
    [
        (OWN_FILE, ["rsyslogd"], True, "", ""),
        ("the journal", [], False, "", ""),
        ("/var/log/messages", [], False, "", ""),
        ("/var/log/syslog", ["syslog-ng"], False, "", ""),
        ("/var/log/syslog", ["syslog-ng"], True, "yellow", "syslog-ng"),
        ("the journal", ["rsyslogd"], True, "yellow", "rsyslog"),
        ("", [], False, "red", "systemd-journald"),
        ("", ["rsyslogd"], False, "red", "restart rsyslog"),
        ("", ["syslog-ng"], True, "red", "restart syslog-ng"),
    ],
)
def test_where_a_test_line_arrived_and_which_daemon_is_to_be_looked_at(
    facts: ServerFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[Any, ...]
) -> None:
    arrived, programs, ruled, level, words = case
    monkeypatch.setattr(log_daemons, "_FOLDERS", (str(tmp_path),))
    rules = [replace(one, rule=tmp_path / f"{one.name}.conf") for one in log_daemons.DAEMONS]
    monkeypatch.setattr(log_daemons, "DAEMONS", tuple(rules))
    for program in programs:
        (tmp_path / program).touch(0o755)
    for one in rules:
        if ruled:
            one.rule.touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))
        where = replace(facts.config.syslog, socket=str(tmp_path / "log"))
        server = replace(facts.server, config=replace(facts.config, syslog=where))
        found = list(machine_checks.syslog(replace(facts, server=server, arrived=arrived)))

    assert [str(one[0]) for one in found] == [level or "green"]
    assert all(words in advice and not useless(advice or "rm x") for _, _, advice in found)


class HidingDns:
    """A nameserver that leaves private addresses out."""

    def __init__(self, _: config.Dns) -> None:
        pass

    def addresses_of(self, name: str, _: float) -> tuple[str, ...]:
        return ()

    def name_of(self, peer: Any, _: float) -> str:
        raise InvalidDnsName(
            detail=f"dugong.univ-brest.fr, the PTR of {peer}, has no A ({reverse_dns.HIDDEN})"
        )


@pytest.mark.parametrize(
    ("sources", "level"),
    [
        (("10.77.0.1",), Level.RED),
        (("134.158.240.3", "192.168.7.0/24", "fd77::1"), Level.RED),
        (("134.158.240.3",), Level.YELLOW),
        ((), Level.YELLOW),
    ],
)
def test_a_nameserver_that_hides_this_servers_private_address_is_red(
    facts: ServerFacts, mocker: MockerFixture, sources: tuple[str, ...], level: Level
) -> None:
    mocker.patch.object(reverse_dns, "ReverseDns", HidingDns)
    mocker.patch.object(socket, "getfqdn", return_value="dugong.univ-brest.fr")
    mocker.patch.object(socket, "getaddrinfo", side_effect=socket.gaierror)
    own = replace(facts.config.server, sources=sources)
    server = replace(facts.server, config=replace(facts.config, server=own))

    found = bad(dns_checks.dns, replace(facts, server=server))

    assert max(one[0] for one in found) is level
