"""A verification on real files, with a machine, a BackupPC and answers of DNS and LDAP given by the tests."""

import base64
import fcntl
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from fakes import BackupPC, Dns, Jobs, People
from interrupted import kill_everywhere
from server_folder import ADUPONT, CMARTIN, PEER

from backuppc_register import config
from backuppc_register.backuppc import host_config, settings
from backuppc_register.backuppc.lock import locked
from backuppc_register.backuppc.rsync_command import Transfer
from backuppc_register.backuppc.settings import Plan, Route, Settings
from backuppc_register.host_key import UNREADABLE, HostKey
from backuppc_register.inventory import server as inventory
from backuppc_register.inventory.services import Services
from backuppc_register.lifecycle import purge as purging
from backuppc_register.lifecycle import resume as resuming
from backuppc_register.lifecycle import retire as retiring
from backuppc_register.lifecycle import transfer as transferring
from backuppc_register.lifecycle.operation import Operation
from backuppc_register.network import rsync_handshake, ssh
from backuppc_register.network.ssh import Answer
from backuppc_register.protocol.errors import (
    BadUser,
    HostKeyChanged,
    HostsFileError,
    InvalidDnsName,
    Misconfigured,
    NotAllowed,
    NotReachable,
    NotRegistered,
    OtherOwner,
    RegisterError,
    StateError,
    TooManyRequests,
)
from backuppc_register.protocol.request import Request
from backuppc_register.protocol.unreachable import Cause, not_reachable
from backuppc_register.registration import register
from backuppc_register.state import key_pairs
from backuppc_register.state.host_folder import HostFolders
from backuppc_register.state.snapshot_file import HostsSnapshot
from backuppc_register.system.deadline import Deadline
from backuppc_register.system.processes import ProgramResult
from backuppc_register.verification import accept_key, verify

ROW = "0\tfull\t1700000000\t1700000100\t7\t16513\t0\t0\t0\t0\t0\n"
GREETING = ProgramResult(-9, b"\x1f\0\0\0", b"")
A_FOLDER = b"xferPids 1,2\ndrwxr-xr-x         4,096 2026/11/25 23:44:04 .\n"
A_FILE = ProgramResult(-9, A_FOLDER + b"-rw-------             43 2026/11/25 23:44:04 cmartin/a -rw\n", b"")
LETTERS = "-slHogDtprcxe.iLsfxC"
PROBE = "version:1\nsystem:Linux\nuser:bckpciuem\nrsync:3.5.0\nshare:/home\nrestore:off\n"


def host_key(byte, kind="ssh-ed25519"):
    blob = len(kind).to_bytes(4, "big") + kind.encode() + b"\0\0\0\x20" + bytes([byte]) * 32
    return HostKey(kind, base64.b64encode(blob).decode())


MINE, ANOTHER, ECDSA = host_key(1), host_key(2), host_key(3, "ecdsa-sha2-nistp256")


@dataclass
class Machine:
    """A machine that answers well, unless a test says otherwise; it notes what is done to it."""

    folder: Path
    host_key: HostKey = MINE
    answer: Answer = field(default_factory=lambda: Answer(PROBE, "", 0))
    failure: RegisterError | None = None
    done: list[object] = field(default_factory=list)
    places: list[ssh.Place] = field(default_factory=list)
    by_ssh: list[tuple[str, ...]] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None
    first_words: dict[str, ProgramResult] = field(default_factory=dict)
    listed: dict[str, ProgramResult] = field(default_factory=dict)
    installed: str = ""  # the public key that its authorized_keys has; "": whatever the server has

    def offered_key(self, way, within, preferred=()):
        assert 0 < within <= 16
        with locked(self.folder / "etc", 0):
            pass  # nobody holds BackupPC's lock while a machine is waited for
        self.places.append(way.place)
        self.done.append((str(way.place), tuple(preferred)))
        if self.failure:
            raise self.failure
        return self.host_key

    def run(self, way, key, private, command, within):
        assert (key, way.ssh[:2]) == (self.host_key, ("/usr/bin/ssh", "-F"))
        assert 0 < within <= 16
        self.done.append(private)
        words = [word.partition("=")[2] for word in way.ssh if word.startswith("IdentityFile=")]
        words += re.findall("IdentityFile (.*)", (private.parent / "ssh_config").read_text())
        there = [path for path in map(Path, words) if path.exists()]
        pairs = {key_pairs.public_key(path.parent, private=path.name): path for path in there}
        if self.installed and self.installed not in pairs:
            raise not_reachable(Cause.LOGIN, "dormeur")
        used = pairs.get(self.installed, there[0])
        self.done.append(command)
        if self.meanwhile:
            self.meanwhile()
        return replace(self.answer, key=str(used))

    def first_word(self, host, key, ssh, transfer, within):
        assert (key, ssh[:2]) == (self.host_key, ("/usr/bin/ssh", "-F"))
        assert 0 < within <= 16
        self.done.append(transfer.path)
        self.by_ssh.append(tuple(ssh))
        return self.first_words.get(transfer.path, GREETING)

    def files(self, host, key, ssh, transfer, within):
        return self.listed.get(transfer.path, A_FILE)


class Server:
    """A server in a folder of its own, on which cmartin's dormeur is registered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("etc", "data/pc", "state", "templates"):
            (folder / name).mkdir(parents=True)
        self.hosts = folder / "etc/hosts"
        self.hosts.write_text("host\tdhcp\tuser\tmoreUsers\nlocalhost\t0\tbackuppc\n")
        self.folders = HostFolders(folder / "state")
        self.machine = Machine(folder)
        self.daemon, self.proposed = BackupPC(), []
        self.settings, self.options, self.port, self.user = self.as_we_made_it(), self.our_options(), 22, ""
        self.pinged, self.options_of_rsync = "dormeur.univ-brest.fr", (LETTERS,)
        self.register()

    @property
    def state(self) -> Path:
        return self.folder / "state/hosts/dormeur"

    def as_we_made_it(self) -> Settings:
        ssh = f"/usr/bin/ssh -F {self.state}/ssh_config"
        names = ("dormeur.univ-brest.fr",)
        return Settings("rsync", False, names, "/usr/bin/ssh", ("-e", ssh), ("--super",), ("/home",))

    def our_options(self) -> dict[str, tuple[str, ...]]:
        return {
            "identityfile": (f"{self.state}/key",),
            "userknownhostsfile": (f"{self.state}/known_hosts",),
            "globalknownhostsfile": ("/dev/null",),
            "hostkeyalias": ("dormeur",),
            "stricthostkeychecking": ("accept-new",),
            "pubkeyauthentication": ("true",),
            "verifyhostkeydns": ("false",),
        }

    def read(self, host, within, proposed=None):
        self.proposed.append(proposed)
        return self.settings

    def plan(self, host, client, within, proposed=None):
        self.proposed.append(proposed)
        rsync = client, "rsync", "--server", "--sender", *self.options_of_rsync
        words = tuple(word.encode() for word in rsync)
        transfers = (Transfer(share, words, f"{share}/".encode()) for share in self.settings.shares)
        return Plan(self.settings.ssh_args, tuple(transfers))

    def alive(self, host, within, proposed=None, known=("", "")):
        assert known == (f"{host}.univ-brest.fr", str(PEER))
        self.proposed.append(proposed)
        if isinstance(self.pinged, Exception):
            raise self.pinged
        return self.pinged

    def route(self, ssh, arguments, client, within):
        assert (ssh, client) == ("/usr/bin/ssh", self.pinged)
        return Route(client, self.port, self.user or "bckpciuem", self.options)

    def server(self):
        places = config.BackupPC(
            hosts=self.hosts,
            config_dir=self.folder / "etc",
            data_dir=self.folder / "data",
            socket="",
            templates=self.folder / "templates",
        )
        return inventory.Server(self.config(places), "backuppc", self.folders)

    def config(self, places):
        return config.Config(
            server=config.Server(url="https://dugong.univ-brest.fr/?host={host}"),
            directory=config.Directory(servers=("ldap://x",), base="dc=x"),
            dns=config.Dns(domains=("univ-brest.fr",)),
            backuppc=places,
            state=config.State(directory=self.folder / "state"),
            limits=config.Limits(),
            syslog=config.Syslog(),
        )

    def services(self, name="dormeur.univ-brest.fr"):
        resolver, people = Dns(name), People(CMARTIN, ADUPONT)
        return Services(lambda: resolver, lambda: people, self.daemon, Deadline(28))

    def register(self, logon="cmartin", name="dormeur.univ-brest.fr"):
        return register.serve(Request("register", "linux", logon), PEER, self.server(), self.services(name))

    def ask(self, *keys, logon="cmartin", name="dormeur.univ-brest.fr"):
        request = Request("verify", "linux", logon)
        services = replace(self.services(name), own_keys=lambda: keys)
        with pytest.MonkeyPatch.context() as patch:
            # What would start BackupPC's Perl, ssh or rsync, or connect.
            patch.setattr(settings, "SettingsReader", lambda places: self)
            patch.setattr(settings, "route", self.route)
            patch.setattr(ssh, "offered_key", self.machine.offered_key)
            patch.setattr(ssh, "run", self.machine.run)
            patch.setattr(rsync_handshake, "read_greeting", self.machine.first_word)
            patch.setattr(rsync_handshake, "list_files", self.machine.files)
            return verify.serve(request, PEER, self.server(), services)

    def record(self):
        return self.folders.record("dormeur")

    def bytes(self):
        return {
            path: (path.read_bytes(), path.stat().st_ino)
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != "LOCK"
        }


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path)


def refused(server, *keys, **request):
    """Ask, expect that a step fails and that nothing changes; return the step's word."""
    before = server.bytes()
    with pytest.raises(NotReachable) as refusal:
        server.ask(*keys, **request)
    assert server.bytes() == before
    assert refusal.value.values["host"] == "dormeur"
    assert server.daemon.queued == []
    return refusal.value.values["step"]


# success


def test_only_the_address_that_asks_is_connected_to(server):
    server.ask(MINE)

    (place,) = server.machine.places
    assert (place.name, place.address) == ("dormeur.univ-brest.fr", str(PEER))
    assert {words[-2:] for words in server.machine.by_ssh} == {("-o", f"HostName={PEER}")}


def test_another_name_that_an_administrator_gave_the_machine_is_followed(server):
    server.pinged = "dormeur.vpn.univ-brest.fr"

    server.ask(MINE)

    (place,) = server.machine.places
    assert (place.name, place.address) == ("dormeur.vpn.univ-brest.fr", "")
    assert not any("HostName" in word for words in server.machine.by_ssh for word in words)


def test_a_way_back_that_works_is_pinned_and_the_first_backup_is_queued(server):
    answer = server.ask(MINE)

    assert (answer.host, answer.status, answer.person) == ("dormeur", "verified", "Christophe Martin")
    assert (answer.backup, answer.user, answer.key, answer.url) == ("queued", "cmartin", "", "")
    assert (server.state / "known_hosts").read_text() == f"dormeur {MINE}\n"
    assert "StrictHostKeyChecking yes\n" in (server.state / "ssh_config").read_text()
    assert server.record().verified > server.record().registered[:10]
    assert server.daemon.queued == [("dormeur", "cmartin")]
    assert MINE.fingerprint in answer.note
    assert server.machine.done == [
        ("port 22 of dormeur.univ-brest.fr", ()),
        server.state / "key",
        "probe",
        "/home",
    ]


def test_until_then_nothing_is_strict(server):
    assert "StrictHostKeyChecking accept-new\n" in (server.state / "ssh_config").read_text()
    assert (server.record().verified, (server.state / "known_hosts").read_bytes()) == ("", b"")


def test_it_can_be_asked_again_and_again_and_asks_for_the_known_type_of_key_first(server):
    server.machine.host_key = ECDSA
    server.ask(MINE, ECDSA)
    pinned = (server.state / "known_hosts").stat().st_ino

    assert server.ask(MINE, ECDSA).status == "verified"
    assert server.machine.done[-4] == ("port 22 of dormeur.univ-brest.fr", ("ecdsa-sha2-nistp256",))
    assert (server.state / "known_hosts").stat().st_ino == pinned


def test_registering_again_leaves_a_verified_host_as_it_is(server):
    server.ask(MINE)
    before = server.bytes()

    assert server.register().status == "unchanged"
    assert server.bytes() == before


def test_without_a_word_about_its_keys_the_first_that_answers_is_kept_as_ssh_would(server):
    assert server.ask().status == "verified"
    assert (server.state / "known_hosts").read_text() == f"dormeur {MINE}\n"


def test_what_backuppc_has_accepted_before_is_known(server):
    (server.state / "known_hosts").write_text(f"dormeur {ANOTHER}\n")

    with pytest.raises(HostKeyChanged):
        server.ask(MINE)


def test_one_right_key_among_lines_that_cannot_be_read_is_enough(server):
    assert server.ask(UNREADABLE, MINE).status == "verified"


def test_with_a_full_backup_none_is_asked_for(server):
    (server.folder / "data/pc/dormeur").mkdir()
    (server.folder / "data/pc/dormeur/backups").write_text(ROW)

    assert server.ask(MINE).backup == ""
    assert server.daemon.queued == []


def test_after_a_backup_that_broke_off_the_first_full_one_is_asked_for(server):
    (server.folder / "data/pc/dormeur/0").mkdir(parents=True)
    (server.folder / "data/pc/dormeur/backups").write_text(ROW.replace("full", "partial"))

    assert server.ask(MINE).backup == "queued"


def test_where_backuppc_cannot_be_asked_the_way_back_is_proved_all_the_same(server):
    server.daemon.problem = "BackupPC is not running and will read the hosts file when it starts"

    answer = server.ask(MINE)

    assert (answer.status, answer.backup) == ("verified", "")
    assert answer.note.endswith(server.daemon.problem)


def test_another_port_and_another_name_are_only_another_way_to_the_same_machine(server):
    server.port, server.pinged = 2222, "10.0.0.9"

    server.ask(MINE)

    assert server.machine.done[0][0] == "port 2222 of 10.0.0.9"


# a host that was backed up before


@pytest.fixture
def taken_over(server):
    """Sirene, which an administrator made by hand and which registered later: it keeps its way at first."""
    server.hosts.write_text(server.hosts.read_text() + "sirene\t0\tcmartin\n")
    (server.folder / "data/pc/sirene/0").mkdir(parents=True)
    server.register(name="sirene.univ-brest.fr")
    assert not (server.folder / "etc/sirene.pl").exists()
    state = str(server.folder / "state/hosts/sirene")
    server.options = {
        name: tuple(value.replace(str(server.state), state).replace("dormeur", "sirene") for value in values)
        for name, values in server.options.items()
    }
    return server


def test_a_host_that_keeps_its_way_gets_ours_when_that_is_proved(taken_over):
    pl = taken_over.folder / "etc/sirene.pl"

    answer = taken_over.ask(MINE, name="sirene.univ-brest.fr")

    assert answer.status == "verified"
    assert b"sirene.univ-brest.fr" in pl.read_bytes()
    assert taken_over.proposed == [pl.read_bytes()] * 3
    record = taken_over.folders.record("sirene")
    assert (record.config, bool(record.verified)) == (host_config.digest(pl.read_bytes()), True)
    taken_over.proposed.clear()
    taken_over.ask(MINE, name="sirene.univ-brest.fr")
    assert taken_over.proposed == [None] * 3


def test_a_host_whose_new_way_fails_keeps_its_old_one(taken_over):
    taken_over.machine.answer = Answer("", NO_SUDO, 1)
    before = taken_over.bytes()

    with pytest.raises(NotReachable):
        taken_over.ask(MINE, name="sirene.univ-brest.fr")

    assert taken_over.bytes() == before


@pytest.mark.parametrize("place", ["etc/sirene.pl", "data/pc/sirene/config.pl"])
def test_a_config_that_somebody_made_is_looked_at_and_never_overwritten(taken_over, place):
    made = taken_over.folder / place
    made.write_text("$Conf{XferMethod} = 'rsync';\n")

    taken_over.ask(MINE, name="sirene.univ-brest.fr")

    assert taken_over.proposed == [None] * 3
    assert made.read_text() == "$Conf{XferMethod} = 'rsync';\n"
    assert taken_over.folders.record("sirene").config == ""


def test_a_config_that_came_meanwhile_was_not_what_was_proved(taken_over):
    pl = taken_over.folder / "etc/sirene.pl"
    taken_over.machine.meanwhile = lambda: pl.write_text("$Conf{XferMethod} = 'tar';\n")

    with pytest.raises(NotRegistered):
        taken_over.ask(MINE, name="sirene.univ-brest.fr")

    assert pl.read_text() == "$Conf{XferMethod} = 'tar';\n"
    assert taken_over.folders.record("sirene").verified == ""


# who may ask


def test_a_host_without_a_line_is_not_registered(server):
    with pytest.raises(NotRegistered) as refusal:
        server.ask(MINE, name="sirene.univ-brest.fr")

    assert refusal.value.values["host"] == "sirene"
    assert server.machine.done == []


def test_a_line_that_somebody_else_lost_is_not_registered(server):
    server.hosts.write_text("host\tdhcp\tuser\tmoreUsers\n")

    with pytest.raises(NotRegistered):
        server.ask(MINE)


def test_a_line_made_by_hand_is_to_be_registered_first(server):
    with server.hosts.open("a") as file:
        file.write("sirene\t0\tcmartin\n")

    with pytest.raises(NotRegistered):
        server.ask(MINE, name="sirene.univ-brest.fr")


def test_another_persons_key_is_not_used_for_who_has_the_line_now(server):
    server.hosts.write_text(server.hosts.read_text().replace("cmartin", "adupont"))

    with pytest.raises(NotRegistered):
        server.ask(MINE, logon="adupont")


def test_an_unfinished_registration_is_to_be_finished_first(server):
    (server.state / "key").unlink()

    with pytest.raises(NotRegistered):
        server.ask(MINE)


def test_where_the_folder_of_its_key_is_gone_the_server_is_to_blame(server):
    server.state.rename(server.folder / "away")

    with pytest.raises(Misconfigured) as fault:
        server.ask(MINE)

    assert "is the disk of that folder mounted?" in fault.value.detail
    assert server.machine.done == []
    assert not server.state.exists()


def test_another_person_is_refused_as_with_a_registration(server):
    with pytest.raises(OtherOwner) as refusal:
        server.ask(MINE, logon="adupont")

    assert refusal.value.values == {"host": "dormeur", "logon": "adupont"}
    assert server.machine.done == []


def test_only_the_owner_of_a_registered_host_is_listened_to(server):
    class Stranger:
        def name_of(self, peer, timeout):
            raise InvalidDnsName(detail="no PTR")

    def listen():
        heard.append(True)
        return (MINE,)

    heard = []
    asked = [
        (Stranger(), "cmartin", InvalidDnsName),
        (Dns("localhost.univ-brest.fr"), "cmartin", InvalidDnsName),
        (Dns("dormeur.univ-brest.fr"), "nobody", BadUser),
        (Dns("dormeur.univ-brest.fr"), "adupont", OtherOwner),
        (Dns("sirene.univ-brest.fr"), "cmartin", NotRegistered),
    ]
    for dns, logon, refusal in asked:
        services = replace(server.services(), resolver=lambda dns=dns: dns, own_keys=listen)
        with pytest.raises(refusal):
            verify.serve(Request("verify", "linux", logon), PEER, server.server(), services)
    assert heard == []


def test_a_second_verification_of_a_host_is_not_listened_to(server):
    folder = os.open(server.state, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    services = replace(server.services(), own_keys=lambda: pytest.fail("read"))

    with pytest.raises(TooManyRequests):
        verify.serve(Request("verify", "linux", "cmartin"), PEER, server.server(), services)
    os.close(folder)


def test_an_unknown_person_and_backuppc_itself_are_refused(server):
    for logon in ("nobody", "backuppc"):
        with pytest.raises(BadUser):
            server.ask(MINE, logon=logon)


def test_whoever_lost_the_host_meanwhile_changes_nothing(server):
    text = server.hosts.read_text()
    server.machine.meanwhile = lambda: server.hosts.write_text(text.replace("cmartin", "adupont"))

    with pytest.raises(OtherOwner):
        server.ask(MINE)

    assert (server.state / "known_hosts").read_bytes() == b""
    assert (server.record().verified, server.daemon.queued) == ("", [])


def test_whoever_was_pinned_meanwhile_stays(server):
    server.machine.meanwhile = lambda: server.folders.pin("dormeur", ANOTHER)

    with pytest.raises(HostKeyChanged):
        server.ask(MINE)

    assert (server.state / "known_hosts").read_text() == f"dormeur {ANOTHER}\n"
    assert server.record().verified == ""


def test_a_lock_that_is_not_had_is_a_fault(server, mocker):
    mocker.patch.object(Services, "for_the_lock", return_value=0.05)

    with locked(server.folder / "etc", 0), pytest.raises(HostsFileError):
        server.ask(MINE)


# another machine


def test_a_machine_with_another_key_than_the_known_one_is_refused_and_its_key_kept_aside(server):
    server.ask(MINE)
    before, server.machine.host_key = server.bytes(), ANOTHER
    server.machine.done.clear()

    with pytest.raises(HostKeyChanged) as refusal:
        server.ask(ANOTHER)

    after = server.bytes()
    assert after.pop(server.state / "offered_key")[0] == f"{ANOTHER}\n".encode()
    assert after == before
    assert refusal.value.values == {"host": "dormeur", "fingerprint": ANOTHER.fingerprint}
    assert ANOTHER.fingerprint in refusal.value.advice
    assert MINE.fingerprint in refusal.value.detail
    assert len(server.machine.done) == 1  # nobody logs in there


def test_the_last_refused_key_is_the_one_that_can_be_accepted(server):
    server.ask(MINE)
    for key in (ANOTHER, ECDSA):
        server.machine.host_key = key
        with pytest.raises(HostKeyChanged):
            server.ask()

    with pytest.raises(HostKeyChanged):
        accept_key.accept(server.folders, "dormeur", ANOTHER.fingerprint)
    assert accept_key.accept(server.folders, "dormeur", ECDSA.fingerprint) == ECDSA


def test_a_key_that_the_machine_does_not_call_its_own_can_never_be_accepted(server):
    server.ask(MINE)
    server.machine.host_key = ANOTHER
    before = server.bytes()

    with pytest.raises(HostKeyChanged):
        server.ask(MINE)

    assert server.bytes() == before


def test_a_machine_that_is_not_the_one_that_asks_is_no_success(server):
    for keys in ([ANOTHER], [UNREADABLE], [ANOTHER, ECDSA, UNREADABLE]):
        assert refused(server, *keys) == "host-key"
        assert [what for what in server.machine.done if what == "probe"] == []


def test_an_accepted_key_replaces_the_known_one_and_the_next_verification_goes_on(server):
    server.ask(MINE)
    server.machine.host_key = ANOTHER
    with pytest.raises(HostKeyChanged):
        server.ask(ANOTHER)

    accept_key.accept(server.folders, "dormeur", ANOTHER.fingerprint.removeprefix("SHA256:"))

    assert (server.state / "known_hosts").read_text() == f"dormeur {ANOTHER}\n"
    assert not (server.state / "offered_key").exists()
    assert server.ask(ANOTHER).status == "verified"


@pytest.mark.parametrize("fingerprint", ["", "SHA256:", MINE.fingerprint, ANOTHER.fingerprint.lower()])
def test_another_fingerprint_accepts_nothing(server, fingerprint):
    server.ask(MINE)
    server.machine.host_key = ANOTHER
    with pytest.raises(HostKeyChanged):
        server.ask()
    before = server.bytes()

    with pytest.raises(HostKeyChanged):
        accept_key.accept(server.folders, "dormeur", fingerprint)

    assert server.bytes() == before


@pytest.mark.parametrize("host", ["dormeur", "sirene"])
def test_where_no_key_was_refused_none_is_accepted(server, host):
    before = server.bytes()

    with pytest.raises(NotAllowed):
        accept_key.accept(server.folders, host, MINE.fingerprint)

    assert server.bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "sirene {key}\n",
        "@cert-authority dormeur {key}\n",
        "@revoked dormeur {key}\n",
        "|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= {key}\n",
        "* {key}\n",
        "dormeur nonsense\n",
        "dormeur {key}\ndormeur.univ-brest.fr {key}\n",
        "\xe9",
    ],
)
def test_a_known_hosts_that_is_not_ours_is_a_doubt_and_never_nobody(server, content):
    (server.state / "known_hosts").write_text(content.format(key=MINE))

    with pytest.raises(StateError):
        server.ask(MINE)


def test_what_an_administrator_has_added_to_known_hosts_counts(server):
    text = f"# new mainboard\n\ndormeur,dormeur.univ-brest.fr {ANOTHER} root@dormeur\ndormeur {MINE}\n"
    (server.state / "known_hosts").write_text(text)

    assert server.ask(MINE).status == "verified"


# steps that fail


@pytest.mark.parametrize("step", [Cause.REFUSED, Cause.FIREWALL, Cause.NOT_SSH])
def test_a_machine_that_is_not_reached_changes_nothing(server, step):
    server.machine.failure = not_reachable(step, "dormeur", what="port 22")

    assert refused(server, MINE) == step.word


def test_a_machine_that_does_not_answer_the_ping_is_not_connected_to(server):
    server.pinged = not_reachable(Cause.PING, "dormeur", what="dormeur.univ-brest.fr")

    assert refused(server, MINE) == "ping"
    assert server.machine.done == []


def test_switched_off_backups_are_no_success(server):
    server.settings = replace(server.settings, disabled=True)

    assert refused(server, MINE) == "disabled"


# a retired host


def retire(server, *, purge=False, final=False, verified=True, setup=True):
    """Verify the host unless told otherwise, back it up, and retire it as an administrator does.

    *setup*: the setup is run again on the machine, and gets a key.
    """
    if verified:
        server.ask(MINE)
        server.daemon.queued.clear()
    folder = server.folder / "data/pc/dormeur"
    (folder / "0").mkdir(parents=True, exist_ok=True)
    (folder / "backups").write_text(ROW)
    custody = operation(server)
    if purge:
        purging.apply(purging.plan("dormeur", 14, custody), custody)
    retiring.apply(retiring.plan("dormeur", custody, final=final), custody)
    if setup and not final:
        server.register()
    server.machine.done.clear()


def operation(server):
    return Operation(server.server(), cast(Any, Jobs()), "chef", datetime.now(UTC))


def unchanged(server, error, *keys, **request):
    before = server.bytes()
    with pytest.raises(error) as refusal:
        server.ask(*keys, **request)
    assert server.bytes() == before
    assert server.daemon.queued == []
    return refusal.value


@pytest.mark.parametrize("purge", [False, True])
def test_a_verification_resumes_a_retired_host_and_cancels_its_purge(server, purge):
    config = (server.folder / "etc/dormeur.pl").read_bytes()
    earlier = server.register().key
    retire(server, purge=purge)
    again = server.register()
    assert again.status == "retired"
    assert again.key != earlier
    assert server.register().key == again.key
    server.machine.installed = again.key

    answer = server.ask(MINE)

    assert answer.status == "resumed"
    assert ("the purge planned for" in answer.note) == purge
    record = server.record()
    assert (record.retired, record.purge, record.purge_of, record.purge_wait) == ("", "", None, None)
    assert (server.folder / "etc/dormeur.pl").read_bytes() == config
    assert server.proposed[-1] == config
    assert server.machine.done[1] == server.state / "fresh_key"
    assert_only_key(server, again.key)
    assert server.ask(MINE).status == "verified"


def assert_only_key(server, key):
    """Check that the host has this key and no other one, for the setup and for BackupPC's ssh."""
    assert key_pairs.public_key(server.state) == server.register().key == key
    assert not [*server.state.glob("fresh_key*"), *server.state.glob("retired_key")]
    assert "fresh" not in (server.state / "ssh_config").read_text()


def test_a_key_from_before_the_retirement_resumes_nothing(server):
    """Any process on the machine can ask so, while the setup's key is in place there."""
    retire(server, purge=True, setup=False)

    refused = unchanged(server, NotRegistered, MINE)

    assert "sudo sh setup.sh --force" in refused.advice
    assert server.machine.done == []
    server.machine.installed = server.folders.public_key("dormeur", server.record())  # nobody runs the setup
    server.register()
    unchanged(server, NotReachable, MINE)


DECISIONS = {
    "a second retire": lambda custody: retiring.apply(retiring.plan("dormeur", custody), custody),
    "a purge": lambda custody: purging.apply(purging.plan("dormeur", 3, custody), custody),
    "resumed and retired": lambda custody: (
        resuming.apply(resuming.plan("dormeur", custody), custody),
        retiring.apply(retiring.plan("dormeur", custody), custody),
    ),
    "resumed and purged": lambda custody: (
        resuming.apply(resuming.plan("dormeur", custody), custody),
        purging.apply(purging.plan("dormeur", 3, custody), custody),
    ),
    "another day of the purge": lambda custody: (
        purging.apply(purging.plan("dormeur", 3, custody), custody),
        purging.apply(purging.plan("dormeur", 9, custody), custody),
    ),
}


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS.keys())
def test_a_key_from_before_the_last_decision_resumes_nothing(server, decide):
    retire(server)
    server.machine.installed = before = server.register().key

    decide(operation(server))

    unchanged(server, NotRegistered, MINE)
    fresh = server.register().key
    assert fresh != before
    unchanged(server, NotReachable, MINE)
    server.machine.installed = fresh
    assert server.ask(MINE).status == "resumed"
    assert_only_key(server, fresh)


@pytest.mark.parametrize("has_run", [False, True], ids=["not on the machine", "on the machine"])
def test_after_an_administrators_resume_backups_work_with_the_key_that_the_machine_has(server, has_run):
    earlier = server.register().key
    retire(server)
    fresh = server.register().key
    server.machine.installed = fresh if has_run else earlier

    custody = operation(server)
    resuming.apply(resuming.plan("dormeur", custody), custody)

    keys = re.findall("IdentityFile (.*)", (server.state / "ssh_config").read_text())
    offered = [key_pairs.public_key(Path(key).parent, private=Path(key).name) for key in keys]
    assert offered == [earlier, fresh]
    server.options["identityfile"] = tuple(keys)
    assert server.ask(MINE).status == "verified"
    server.options["identityfile"] = (f"{server.state}/key",)
    assert_only_key(server, server.machine.installed)
    assert server.ask(MINE).status == "verified"


def test_a_second_retirement_takes_both_keys_out_of_backuppcs_reach(server):
    retire(server)
    custody = operation(server)
    resuming.apply(resuming.plan("dormeur", custody), custody)
    retiring.apply(retiring.plan("dormeur", custody), custody)

    assert "fresh" not in (server.state / "ssh_config").read_text()
    assert not (server.state / "key").exists()


def test_the_private_key_that_is_kept_aside_is_given_to_ssh(server, mocker):
    retire(server)
    seen = []
    first_word = server.machine.first_word

    def note(host, key, ssh, transfer, within):
        seen.append([word for word in ssh if word.startswith("IdentityFile=")])
        return first_word(host, key, ssh, transfer, within)

    mocker.patch.object(server.machine, "first_word", note)
    server.ask(MINE)
    server.ask(MINE)

    assert seen == [[f"IdentityFile={server.state}/fresh_key"], []]


@pytest.mark.parametrize("purge", [False, True])
def test_a_host_retired_for_good_is_not_even_called(server, purge):
    retire(server, purge=purge, final=True)

    error = unchanged(server, NotAllowed, MINE)

    assert error.message() == "refused by this site : the backups of dormeur were stopped for good"
    assert "resume dormeur" in error.detail
    assert server.machine.done == []


@pytest.mark.parametrize("step", [Cause.LOGIN, Cause.PING, Cause.WRAPPER, Cause.SILENT])
def test_without_root_on_the_machine_nothing_is_resumed(server, step):
    retire(server, purge=True)
    server.machine.failure = not_reachable(step, "dormeur")

    unchanged(server, NotReachable, MINE)


def test_another_machine_at_the_address_of_a_retired_host_resumes_nothing(server):
    retire(server, purge=True)
    record = server.record()
    server.machine.host_key = ANOTHER

    with pytest.raises(HostKeyChanged):
        server.ask()  # it reports no keys of its own

    assert server.record() == record
    assert server.folders.known_keys("dormeur") == (MINE,)


def test_a_retired_host_with_backups_and_without_a_known_machine_is_for_an_administrator(server):
    retire(server, purge=True, verified=False)
    record = server.record()

    with pytest.raises(HostKeyChanged) as refusal:
        server.ask(MINE)

    assert refusal.value.values["fingerprint"] == MINE.fingerprint
    assert server.record() == record
    assert server.folders.known_keys("dormeur") == ()
    assert server.state / "fresh_key" not in server.machine.done
    accept_key.accept(server.folders, "dormeur", MINE.fingerprint)
    assert server.ask(MINE).status == "resumed"


def test_backups_that_are_missing_count_as_backups(server):
    retire(server, verified=False)
    ledger = HostsSnapshot(server.folder / "state")
    ledger.note(replace(ledger.read()["dormeur"], data=True))
    (server.folder / "data/pc/dormeur/backups").unlink()
    (server.folder / "data/pc/dormeur/0").rmdir()

    with pytest.raises(HostKeyChanged):
        server.ask(MINE)

    assert server.record().retired


def test_a_retired_host_that_never_had_backups_is_resumed_by_a_machine_that_is_new(server):
    custody = operation(server)
    retiring.apply(retiring.plan("dormeur", custody), custody)
    server.register()

    assert server.ask(MINE).status == "resumed"
    assert server.folders.known_keys("dormeur") == (MINE,)


def test_a_retired_host_without_settings_gets_ours(server):
    pl = server.folder / "etc/dormeur.pl"
    pl.unlink()
    retire(server)
    pl.unlink()
    (server.state / "retired.pl").unlink()

    assert server.ask(MINE).status == "resumed"

    assert b"dormeur.univ-brest.fr" in pl.read_bytes()
    assert server.record().config == host_config.digest(pl.read_bytes())
    assert not (server.state / "retired.pl").exists()


def test_whoever_has_as_many_hosts_as_the_site_allows_resumes_none(server, mocker):
    retire(server)
    server.register(name="orque.univ-brest.fr")
    one = replace(server.server().config, limits=config.Limits(hosts_per_person=1))
    mocker.patch.object(server, "config", return_value=one)

    unchanged(server, NotAllowed, MINE)


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda custody: purging.apply(purging.plan("dormeur", 3, custody), custody),
        lambda custody: retiring.apply(retiring.plan("dormeur", custody, final=True), custody),
        lambda custody: resuming.apply(resuming.plan("dormeur", custody), custody),
        lambda custody: transferring.apply(transferring.plan("dormeur", ADUPONT, custody), custody),
    ],
    ids=["purge", "final", "resume", "transfer"],
)
def test_what_an_administrator_decides_during_the_verification_stands(server, meanwhile):
    retire(server)
    after = []

    def decide():
        meanwhile(operation(server))
        after.append(server.bytes())

    server.machine.meanwhile = decide

    with pytest.raises((NotRegistered, NotAllowed, OtherOwner)):
        server.ask(MINE)

    assert server.bytes() == after[0]
    assert server.daemon.queued == []


def test_a_purge_that_is_carried_out_during_the_verification_is_not_undone(server):
    retire(server, purge=True)

    def carry_out():
        later = replace(operation(server), now=datetime.now(UTC) + timedelta(days=15))
        purging.apply(purging.plan_due("dormeur", later), later)

    server.machine.meanwhile = carry_out

    with pytest.raises(NotRegistered):
        server.ask(MINE)

    assert (server.record(), "dormeur" in server.hosts.read_text()) == (None, False)


def test_killed_anywhere_a_verification_resumes_a_retired_host_or_leaves_it_to_the_next_one(tmp_path):
    def prepared(folder):
        server = Server(folder)
        retire(server, purge=True)
        return server

    for server in kill_everywhere(tmp_path, prepared, lambda server: server.ask(MINE)):
        assert server.ask(MINE).status in ("resumed", "verified")
        assert (server.record().retired, server.record().purge) == ("", "")
        assert b"dormeur.univ-brest.fr" in (server.folder / "etc/dormeur.pl").read_bytes()
        assert server.folders.is_whole("dormeur")
        assert server.register().status == "unchanged"


def test_a_line_that_says_dhcp_would_never_be_backed_up(server):
    server.hosts.write_text(server.hosts.read_text().replace("dormeur\t0", "dormeur\t1"))

    assert refused(server, MINE) == "elsewhere"


SSH = "/usr/bin/ssh"


@pytest.mark.parametrize(
    "change",
    [
        {"xfer_method": "smb"},
        {"xfer_method": "rsyncd"},
        {"ssh_args": None},
        {"ssh_args": ()},
        {"ssh_args": ("-e",)},
        {"ssh_args": (f"-e {SSH} -F x",)},
        {"ssh_args": ("-e", f"{SSH} -F x", "--rsync-path=/tmp/x")},
        {"ssh_args": ("--rsh", f"{SSH} -F x")},
        {"ssh_args": ("-e", "")},
        {"ssh_args": ("-e", " ")},
        {"ssh_args": ("-e", "/tmp/ssh -F x")},
        {"ssh_args": ("-e", "ssh -F x")},
        {"ssh_args": ("-e", f"sudo {SSH} -F x")},
        {"ssh_args": ("-e", f"{SSH} -o 'ProxyCommand=nc x 22'")},
        {"ssh_args": ("-e", f'{SSH} -o "User root"')},
        {"ssh_args": ("-e", f"{SSH} -F x\n-l root")},
        {"ssh_args": ("-e", f"{SSH} -F x\\ y")},
        {"ssh_path": "/usr/bin/rsh", "ssh_args": ("-e", "/usr/bin/rsh -F x")},
        {"rsync_args": ("--rsync-path=nice -n 19 /usr/bin/rsync", "--super")},
        {"rsync_args": ("--rsync-path=sudo -u root rsync",)},
        {"rsync_args": ("--rsync-path=rsync", "--rsync-path", "/tmp/x")},
        {"rsync_args": ("--super", "-e", "/bin/sh")},
        {"rsync_args": ("-e/bin/sh",)},
        {"rsync_args": ("-aHe", "/bin/sh")},
        {"rsync_args": ("--rsh=/bin/sh",)},
        {"rsync_args": ("--rsh", "/bin/sh")},
        {"clients": ()},
        {"clients": ("",)},
        {"clients": ("-oProxyCommand=id",)},
        {"shares": ()},
        {"broken": "DumpPreUserCmd"},
    ],
    ids=str,
)
def test_settings_that_lead_elsewhere_are_no_success(server, change):
    server.settings = replace(server.settings, **change)

    assert refused(server, MINE) == "elsewhere"
    assert server.machine.done == []


@pytest.mark.parametrize(
    "change",
    [
        {"identityfile": ("/root/.ssh/id_rsa",)},
        {"identityfile": ()},
        {"identityfile": ("{state}/key", "/root/.ssh/id_rsa")},
        {"userknownhostsfile": ("/dev/null",)},
        {"userknownhostsfile": ("{state}/known_hosts /etc/ssh/known",)},
        {"globalknownhostsfile": ("/etc/ssh/ssh_known_hosts",)},
        {"hostkeyalias": ("sirene",)},
        {"hostkeyalias": ()},
        {"stricthostkeychecking": ("false",)},
        {"stricthostkeychecking": ("no",)},
        {"stricthostkeychecking": ()},
        {"pubkeyauthentication": ("false",)},
        {"verifyhostkeydns": ("true",)},
        {"proxycommand": ("nc -x proxy %h %p",)},
        {"proxyjump": ("sirene",)},
        {"knownhostscommand": ("/bin/keys",)},
        {"certificatefile": ("/root/cert.pub",)},
        {"pkcs11provider": ("/usr/lib/x.so",)},
        {"remotecommand": ("id",)},
        {"controlpath": ("/tmp/socket",)},
        {"stdinnull": ("true",)},
        {"stdinnull": ("yes",)},
        {"forkafterauthentication": ("yes",)},
        {"sessiontype": ("none",)},
        {"sessiontype": ("subsystem",)},
        {"permitlocalcommand": ("yes",)},
    ],
    ids=str,
)
def test_an_ssh_that_goes_another_way_is_no_success(server, change):
    for name, values in change.items():
        server.options[name] = tuple(value.replace("{state}", str(server.state)) for value in values)

    assert refused(server, MINE) == "elsewhere"
    assert server.machine.done == []


def test_an_ssh_that_goes_to_another_account_is_no_success(server):
    server.user = "root"

    assert refused(server, MINE) == "elsewhere"


def test_an_ssh_that_understands_nothing_is_no_success(server, mocker):
    mocker.patch.object(server, "route", side_effect=ValueError("Bad configuration option: colour"))

    assert refused(server, MINE) == "elsewhere"


NO_SUDO = "sudo: a password is required\n"
NO_RSYNC = "bckpciuem: failed: there is no /usr/bin/rsync\n"


@pytest.mark.parametrize(
    ("answer", "step"),
    [
        (Answer("", NO_SUDO, 1), "sudo"),
        (Answer("", "sudo: account validation failure, is your account locked?\n", 1), "sudo"),
        (Answer("", "env: 'sudo': No such file or directory\n", 127), "sudo"),
        (Answer("", NO_RSYNC, 69), "rsync"),
        (Answer(PROBE.replace("3.5.0", "?"), "", 0), "rsync"),
        (Answer("", "bckpciuem: failed: setpriv is missing\n", 69), "wrapper"),
        (Answer("", "bckpciuem: misconfigured: /etc/bckpciuem.conf: no share\n", 78), "wrapper"),
        (Answer("", "bckpciuem: refused: not a backup: probe\n", 64), "wrapper"),
        (Answer("This account is currently not available.\n", "", 1), "wrapper"),
        (Answer("", "sh: 1: probe: not found\n", 127), "wrapper"),
        (Answer("", "", 0), "wrapper"),
        (Answer("rsync:\n", "", 0), "wrapper"),
        (Answer(PROBE, "", -1), "wrapper"),
        (Answer("Welcome\n" + PROBE, "", 0), "unclean"),
        (Answer("\n" + PROBE, "", 0), "unclean"),
        (Answer("rsync:3.5.0\nshare:/home\n" + PROBE, "", 0), "unclean"),
        (Answer("rsync:3.5.0\nshare:/home\n", "", 0), "wrapper"),
        (Answer(PROBE, "", 1), "wrapper"),
        (Answer("rsync 3.5.0\nshare /home\n", "", 0), "wrapper"),
        (Answer("\0" * 65536, "", 0), "wrapper"),
        (Answer(PROBE.replace("share:", "unreadable:"), "", 0), "folder"),
        (Answer(PROBE + "unreadable:/home\n", "", 0), "folder"),
        (Answer(PROBE.replace("/home", "/srv"), "", 0), "share"),
        (Answer(PROBE.replace("/home", "/homes"), "", 0), "share"),
        (Answer(PROBE.replace("/home", "/home/cmartin"), "", 0), "share"),
        (Answer(PROBE.replace("share:/home\n", ""), "", 0), "share"),
    ],
    ids=str,
)
def test_an_answer_without_which_no_backup_works_is_no_success(server, answer, step):
    server.machine.answer = answer

    assert refused(server, MINE) == step


def test_a_machine_on_which_nothing_keeps_rsync_inside_is_told_what_to_update(server):
    report = PROBE.replace("share:", "unreadable:").replace("rsync:3.5.0", "rsync:3.4.1\nwall:none")
    server.machine.answer = Answer(report, "bckpciuem: failed: nothing keeps rsync 3.4.1 inside /home\n", 0)

    with pytest.raises(NotReachable) as refusal:
        server.ask(MINE)

    assert (refusal.value.values["step"], "3.5 or later" in refusal.value.advice) == ("rsync", True)
    assert "nothing keeps rsync 3.4.1 inside /home" in refusal.value.detail


@pytest.mark.parametrize(("line", "word"), [("wall:namespace\n", "namespace"), ("", "unknown")])
def test_the_log_says_what_keeps_rsync_inside(server, line, word):
    server.machine.answer = Answer(PROBE + line, "", 0)

    assert f"rsync 3.5.0, wall {word}" in server.ask(MINE).note


def test_the_record_has_what_kept_rsync_inside_at_the_last_time(server):
    seen = []
    for line in ("wall:namespace\n", "wall:none\n", ""):
        server.machine.answer = Answer(PROBE + line, "", 0)
        server.ask(MINE)
        seen.append((server.record().rsync, server.record().wall))

    assert seen == [("3.5.0", "namespace"), ("3.5.0", "none"), ("3.5.0", "")]


@pytest.mark.parametrize("share", ["/", "/home", "/home/"])
def test_a_folder_of_what_the_machine_gives_can_be_saved(server, share):
    server.machine.answer = Answer(f"version:1\nrsync:openrsync 29\nshare:{share}\nunreadable:/srv\n", "", 0)
    server.settings = replace(server.settings, shares=("/home/cmartin/", "/home"))

    assert server.ask(MINE).status == "verified"


def of_the_wrapper(verdict, text, status):
    return ProgramResult(status, b"", f"bckpciuem: {verdict}: {text}\n".encode())


@pytest.mark.parametrize(
    ("word", "step"),
    [
        (of_the_wrapper("refused", "option --copy-unsafe-links", 64), "elsewhere"),
        (of_the_wrapper("refused", "short options -slHogDtprcE", 64), "elsewhere"),
        (of_the_wrapper("refused", "not a backup: dormeur rsync --server", 64), "elsewhere"),
        (of_the_wrapper("refused", "/home/x is not in a folder that is backed up here", 64), "share"),
        (of_the_wrapper("refused", "/home/x leads out of /home", 64), "share"),
        (of_the_wrapper("failed", "/home/x is no folder of this computer", 69), "folder"),
        (of_the_wrapper("misconfigured", "/etc/bckpciuem.conf: no share", 78), "wrapper"),
        (ProgramResult(1, b"", b"rsync: -x: unknown option\nrsync error: syntax error (code 1)\n"), "rsync"),
        (ProgramResult(12, b"\x1f\0", b"rsync error: protocol data stream\n"), "rsync"),
        (ProgramResult(0, b"", b""), "wrapper"),
        (ProgramResult(-9, b"", b"x" * 70000), "wrapper"),
        (
            ProgramResult(255, b"", b"Unable to negotiate with 10.0.0.9: no matching cipher found.\n"),
            "elsewhere",
        ),
        (
            ProgramResult(255, b"", b"kex_exchange_identification: read: Connection reset by peer\n"),
            "hung-up",
        ),
        (ProgramResult(-9, b"Welcome\n\x1f\0\0\0", b""), "unclean"),
        (ProgramResult(-9, b"\n\x1f\0\0\0", b""), "unclean"),
        (ProgramResult(-9, b"\x1f\0\0\1", b""), "unclean"),
        (ProgramResult(-9, b"\0\0\0\0", b""), "unclean"),
        (ProgramResult(-9, b"\xff\0\0\0", b""), "unclean"),
    ],
    ids=str,
)
def test_a_backup_that_does_not_begin_with_rsyncs_first_word_is_no_success(server, word, step):
    server.settings = replace(server.settings, shares=("/home", "/home/x"))
    server.machine.first_words["/home/x"] = word

    assert refused(server, MINE) == step


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("rsync: --timeout=72000: too large", "ClientTimeout} = 3600"),
        ("rsync: timeout is too large: 72000", "ClientTimeout} = 3600"),
        ("rsync: invalid option -- 'A'", "what its rsync refuses"),
        ("rsync: -X: unknown option", "what its rsync refuses"),
        ("rsync: unrecognized option `--checksum-choice=md5'", "what its rsync refuses"),
        ("rsync: command not found", "Install rsync"),
    ],
)
def test_an_option_that_the_machines_rsync_refuses_is_no_rsync_that_is_missing(server, said, cure):
    server.machine.first_words["/home"] = ProgramResult(1, b"", f"{said}\n".encode())

    with pytest.raises(NotReachable) as refusal:
        server.ask(MINE)

    assert refusal.value.values["step"] == "rsync"
    assert cure in refusal.value.advice
    assert said in refusal.value.detail


@pytest.mark.parametrize("protocol", [20, 29, 31, 32, 40])
def test_every_protocol_that_rsync_bpc_takes_is_a_success(server, protocol):
    server.machine.first_words["/home"] = ProgramResult(
        -9, bytes((protocol, 0, 0, 0)), b"a word of welcome\n"
    )

    assert server.ask(MINE).status == "verified"


def test_every_folder_is_begun_once(server):
    server.settings = replace(server.settings, shares=("/home", "/home/a b", "/home/\xe9t\xe9"))

    assert server.ask(MINE).status == "verified"
    assert server.machine.done[-4] == "probe"
    assert sorted(server.machine.done[-3:]) == ["/home", "/home/a b", "/home/\xe9t\xe9"]


def test_some_folders_are_begun_at_a_time_and_after_a_failure_no_more(server, mocker):
    shares = tuple(f"/home/{n}" for n in range(40))
    server.settings = replace(server.settings, shares=shares)
    busy, most = set(), []
    first_word = server.machine.first_word

    def slow(host, key, ssh, transfer, within):
        busy.add(transfer.path)
        most.append(len(busy))
        time.sleep(0.05)
        busy.discard(transfer.path)
        return first_word(host, key, ssh, transfer, within)

    mocker.patch.object(server.machine, "first_word", slow)
    assert server.ask(MINE).status == "verified"
    assert 1 < max(most) <= 4
    server.machine.first_words["/home/1"] = ProgramResult(-9, b"Welcome\n", b"")
    server.machine.done.clear()

    with pytest.raises(NotReachable):
        server.ask(MINE)

    assert len([path for path in shares if path in server.machine.done]) < 12


@pytest.mark.parametrize(
    "options",
    [
        ("-nslHogDtprcxe.iLsfxC",),
        ("-slHogDtprcxne.iLsfxC",),
        ("-lHogDtprcx", "--list-only", ".", "/home/"),
        ("-slHogDtpdcxe.iLsfxC",),
        (),
    ],
    ids=str,
)
def test_a_backup_that_would_save_nothing_is_no_success(server, options):
    server.options_of_rsync = options

    assert refused(server, MINE) == "elsewhere"
    assert server.machine.done == []


@pytest.mark.parametrize("name", [b"sirene.univ-brest.fr", b"-oProxyCommand=id", b"bckpciuem@dormeur"])
def test_a_backup_that_would_go_to_another_name_than_was_looked_at_is_no_success(server, mocker, name):
    elsewhere = Transfer("/home", (name, b"rsync", b"--server", LETTERS.encode()), b"/home/")
    mocker.patch.object(server, "plan", return_value=Plan(server.settings.ssh_args, (elsewhere,)))

    assert refused(server, MINE) == "elsewhere"
    assert server.machine.done == []


@pytest.mark.parametrize(
    ("listed", "step"),
    [
        (ProgramResult(0, A_FOLDER, b""), "empty"),
        (ProgramResult(0, A_FOLDER + b"drwxr-xr-x 60 2026/11/25 23:44:04 -rw------- 43\n", b""), "empty"),
        (
            ProgramResult(23, A_FOLDER + b'rsync: opendir "/home/x" failed: Permission denied (13)\n', b""),
            "empty",
        ),
        (ProgramResult(12, b"rsync error: error in rsync protocol data stream\n", b""), "rsync"),
        (ProgramResult(0, b"", b""), "empty"),
        (ProgramResult(-9, b"xferPids 1,2\n", b""), "silent"),
    ],
    ids=str,
)
def test_a_folder_without_a_file_to_save_is_no_success(server, listed, step):
    server.settings = replace(server.settings, shares=("/home", "/home/x"))
    server.machine.listed["/home/x"] = listed

    assert refused(server, MINE) == step


def test_where_empty_folders_are_no_failure_one_file_in_all_is_enough(server):
    server.settings = replace(server.settings, shares=("/home", "/home/x"), zero_files_fatal=False)
    server.machine.listed["/home/x"] = ProgramResult(0, A_FOLDER, b"")

    assert server.ask(MINE).status == "verified"
    server.machine.listed["/home"] = ProgramResult(0, A_FOLDER, b"")
    with pytest.raises(NotReachable):
        server.ask(MINE)


def test_commands_that_can_end_a_backup_are_told_to_the_administrator(server):
    server.settings = replace(server.settings, commands=("DumpPreUserCmd", "DumpPostUserCmd"))

    assert "not tried: DumpPreUserCmd, DumpPostUserCmd" in server.ask(MINE).note


@pytest.mark.parametrize("kind", [b"-rw-r--r--", b"lrwxrwxrwx", b"-rwsr-Sr-t", b"prw-------"])
def test_any_file_will_do_and_so_does_what_takes_long_to_list(server, kind):
    server.settings = replace(server.settings, shares=("/home", "/home/x"))
    file = kind + b"    12,345.67K 2026/11/25 23:44:04 a\n"
    server.machine.listed |= {
        "/home": ProgramResult(23, A_FOLDER + file, b""),
        "/home/x": ProgramResult(-9, A_FOLDER, b""),
    }

    assert server.ask(MINE).status == "verified"


# the folders at the top of a share


def test_a_folder_that_cannot_be_read_among_others_is_told_and_no_failure(server):
    below = "closed:/home/nfs\nmounted:/home/nfs\nmounted:/home/usb\nfolders:5 /home\n"
    server.machine.answer = Answer(PROBE + below, "", 0)

    answer = server.ask(MINE)

    lacking = "/home/nfs cannot be read, /home/usb is on another file system"
    assert (answer.status, answer.advice) == ("verified", f"Backups will lack some folders: {lacking}.")


def test_other_file_systems_are_no_matter_where_backups_take_them_in(server):
    server.machine.answer = Answer(PROBE + "mounted:/home/usb\nfolders:1 /home\n", "", 0)
    server.options_of_rsync = ("-slHogDtprce.iLsfxC",)

    assert server.ask(MINE).advice == ""


def test_a_home_on_a_file_server_is_told_until_the_server_saves_it_itself(server):
    below = "elsewhere:/home/nfs\nmounted:/home/nfs\nmounted:/home/usb\nfolders:5 /home\n"
    server.machine.answer = Answer(PROBE + below, "", 0)
    assert server.ask(MINE).lacking == ("/home/nfs",)

    server.settings = replace(server.settings, shares=("/home", "/home/nfs/"))
    answer = server.ask(MINE)

    assert (answer.lacking, answer.advice) == (
        (), "Backups will lack some folders: /home/usb is on another file system.",
    )  # fmt: skip


def test_a_home_on_a_file_server_is_no_matter_where_backups_take_other_file_systems_in(server):
    server.machine.answer = Answer(PROBE + "elsewhere:/home/nfs\nmounted:/home/nfs\nfolders:1 /home\n", "", 0)
    server.options_of_rsync = ("-slHogDtprce.iLsfxC",)

    assert server.ask(MINE).lacking == ()


def test_the_one_advice_for_homes_on_other_file_systems_works(server):
    server.machine.answer = Answer(PROBE + "mounted:/home/b\nmounted:/home/a\nfolders:2 /home\n", "", 0)
    with pytest.raises(NotReachable, match="/home/a is on another file system") as refusal:
        server.ask(MINE)
    assert "name /home/a, /home/b in the place of /home" in refusal.value.advice

    server.settings = replace(server.settings, shares=("/home/a", "/home/b"))
    answer = server.ask(MINE)

    assert (answer.status, answer.advice) == ("verified", "")


def test_of_many_folders_some_are_told(server):
    below = "".join(f"closed:/home/{n}\n" for n in range(60)) + "folders:64 /home\n"
    server.machine.answer = Answer(PROBE + below, "", 0)

    assert server.ask(MINE).advice.endswith("/home/4 cannot be read, and 55 more.")


@pytest.mark.parametrize(
    ("below", "step"),
    [
        ("closed:/home/a\nclosed:/home/b\nfolders:2 /home\n", "folder"),
        ("closed:/home/a\nmounted:/home/a\nmounted:/home/b\nfolders:2 /home\n", "folder"),
        ("mounted:/home/a\nfolders:1 /home\n", "file-system"),
    ],
    ids=str,
)
def test_a_share_of_whose_folders_none_would_be_saved_is_no_success(server, below, step):
    server.machine.answer = Answer(PROBE + below, "", 0)

    assert refused(server, MINE) == step


@pytest.mark.parametrize("below", ["folders:0 /home\n", "folders:x /home\n", f"folders:{'9' * 9999} /home\n"])
def test_a_share_without_folders_is_a_success(server, below):
    server.machine.answer = Answer(PROBE + below, "", 0)

    assert server.ask(MINE).status == "verified"


def test_what_is_told_to_be_saved_is_what_backuppc_saves_and_not_what_the_machine_gives(server):
    server.machine.answer = Answer("version:1\nrsync:3.5.0\nshare:/home\nshare:/srv/data\n", "", 0)
    server.settings = replace(server.settings, shares=("/home", "/srv/data/x y"))

    assert server.ask(MINE).shares == ("/home", "/srv/data/x y")


@pytest.mark.parametrize("path", ["rsync", "/usr/bin/rsync", "sudo -n rsync", "/rsync"])
def test_every_rsync_that_the_wrapper_takes_is_a_success(server, path):
    server.settings = replace(server.settings, rsync_args=(f"--rsync-path={path}", "--super"))

    assert server.ask(MINE).status == "verified"


def test_one_verification_of_a_host_at_a_time_connects_to_it(server):
    seen = []

    def again():
        server.machine.meanwhile = None
        with pytest.raises(TooManyRequests):
            server.ask(MINE)
        seen.append("refused")

    server.machine.meanwhile = again

    assert server.ask(MINE).status == "verified"
    assert seen == ["refused"]
    assert server.ask(MINE).status == "verified"


def test_every_folder_counts(server):
    server.settings = replace(server.settings, shares=("/home", "/etc"))

    assert refused(server, MINE) == "share"


def test_a_protected_folder_of_a_mac_is_a_matter_of_full_disk_access(server):
    server.machine.answer = Answer("version:1\nsystem:Darwin\nrsync:openrsync 29\nunreadable:/Users\n", "", 0)
    server.settings = replace(server.settings, shares=("/Users",))

    with pytest.raises(NotReachable) as refusal:
        server.ask(MINE)

    assert "Full Disk Access" in refusal.value.advice
    assert refusal.value.values["reason"] == "the folder /Users cannot be read"


def test_every_step_says_what_to_do_in_one_sentence():
    for step in Cause:
        refusal = not_reachable(step, "dormeur", what="it")
        assert refusal.values["step"] == step.word
        assert "{" not in refusal.message()
        assert refusal.advice.endswith(".")


def test_the_record_in_the_file_says_when(server):
    server.ask(MINE)

    told = json.loads((server.state / "record.json").read_text())
    assert told["verified"].endswith("+00:00")
