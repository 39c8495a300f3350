"""BackupPC that is not Debian's package: from source, then as EPEL lays it out, then BackupPC 3."""

import json
from collections.abc import Iterator

import pytest
from lab import Lab, Laptop, Server
from lab.laptop import MARTIN
from services import slapd

pytestmark = pytest.mark.lab

ADMIN = "/opt/backuppc-register/bin/backuppc-register-admin"
SSH = "ssh -i /root/register-key -o UserKnownHostsFile=/root/known_hosts backuppc@dugong.univ-brest.fr"
STATE = "/var/lib/backuppc-register"
TOLD = [
    "--url", "https://dugong.univ-brest.fr/BackupPC?host={host}", "--ldap", "ldap://127.0.0.1",
    "--base", slapd.BASE, "--domain", "univ-brest.fr",
]  # fmt: skip
# Move Debian's files to where others have them. These have useFHS, so the .pl of hosts are in pc/.
MOVE = """
set -eu
pid=$(cat {run_was}/BackupPC.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.05; done
rm -f /etc/backuppc/pc
mkdir -p $(dirname {lib}) $(dirname {data}) {run}
mv {lib_was} {lib}; mv {etc_was} /tmp/etc; mv /tmp/etc {etc}; mkdir -p {etc}/pc {data}
mv {data_was}/pc {data_was}/pool {data_was}/cpool {data_was}/log {data}/
grep -rlI -e {lib_was} -e {etc_was} -e {data_was} -e {run_was} {lib} {etc} | xargs sed -i \
    -e 's,{lib_was},{lib},g; s,{etc_was}\\b,{etc},g; s,{run_was}\\b,{run},g' \
    -e "s,'{data_was}',\\'{data}\\',; s,{data_was}/log,{data}/log," -e 's/useFHS = 0/useFHS = 1/'
chown -R backuppc:backuppc {etc} {data} {run}
su backuppc -s /bin/sh -c '{lib}/bin/BackupPC -d'
until [ -S {run}/BackupPC.sock ]; do sleep 0.05; done
"""
DEBIAN = ("/usr/share/backuppc", "/etc/backuppc", "/var/lib/backuppc", "/run/backuppc")
SOURCE = ("/usr/local/BackupPC", "/etc/BackupPC", "/data/BackupPC", "/run/BackupPC")
EPEL = ("/usr/share/BackupPC", "/etc/BackupPC", "/var/lib/BackupPC", "/run/BackupPC")


def move(old: tuple[str, ...], new: tuple[str, ...]) -> str:
    names = ("lib", "etc", "data", "run")
    places = {f"{name}_was": path for name, path in zip(names, old, strict=True)}
    return MOVE.format(**places, **dict(zip(names, new, strict=True)))


def admin(server: Server, *arguments: str, check: bool = False) -> str:
    done = server.run([ADMIN, *arguments], env={"SUDO_USER": "jdoe"}, check=check)
    return done.stdout + done.stderr


def findings(server: Server, *checks: str) -> list[tuple[str, str]]:
    wanted = [word for check in checks for word in ("--only", check)]
    found = json.loads(server.run([ADMIN, "diagnose", "--json", *wanted]).stdout)
    return [(one["level"], one["what"]) for one in found]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def dugong(lab: Lab) -> Server:
    """A server with BackupPC from source, made ready by `init`, which finds all of it by itself."""
    server = lab.server("dugong.univ-brest.fr")
    server.run(f"rm -r /etc/backuppc-register {STATE} /var/lib/backuppc/.ssh", check=True)
    server.run(move(DEBIAN, SOURCE), check=True)
    admin(server, "init", *TOLD, check=True)
    return server


@pytest.fixture(scope="module")
def dormeur(lab: Lab, dugong: Server) -> Laptop:
    laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11", users=(MARTIN,))
    admin(dugong, "bundle", "--os", "linux", "-o", "/root/setup.sh", check=True)
    laptop.write("/root/setup.sh", dugong.read("/root/setup.sh"))
    key = "sed -n '/BEGIN OPENSSH/,/END OPENSSH/p' /root/setup.sh > /root/register-key"
    laptop.run(f"umask 077; {key}; test -s /root/register-key", check=True)
    laptop.write("/root/known_hosts", dugong.known_hosts)
    return laptop


def set_up(laptop: Laptop) -> int:
    return laptop.run("sh /root/setup.sh --unattended --logon cmartin", timeout=60).status


LOOKED_AT = ("backuppc", "backuppc-config", "settings-files", "host-settings", "ping", "top-dir", "daemon")


def test_a_backuppc_from_source_registers_verifies_and_backs_up(dugong: Server, dormeur: Laptop) -> None:
    config = dugong.read("/etc/backuppc-register/config.toml")

    status = set_up(dormeur)
    dugong.wait_for(lambda: saved(dugong, SOURCE), "its first backup", 60)

    assert status == 0
    assert 'config_dir = "/etc/BackupPC"' in config
    assert 'data_dir = "/data/BackupPC"' in config
    assert 'socket = "/run/BackupPC/BackupPC.sock"' in config
    assert dugong.read("/etc/BackupPC/hosts").endswith("dormeur\t0\tcmartin\n")
    assert f"{STATE}/hosts/dormeur/ssh_config" in dugong.read("/etc/BackupPC/pc/dormeur.pl")
    assert not dugong.exists("/etc/BackupPC/dormeur.pl")
    assert [one for one in findings(dugong, *LOOKED_AT) if one[0] != "green"] == []
    assert ("green", "BackupPC 4.4.0 (/usr/local/BackupPC)") in findings(dugong, "backuppc")
    assert "dormeur" in page(dugong, SOURCE, "cmartin")


def saved(server: Server, places: tuple[str, ...]) -> bool:
    rows = server.run(["cat", f"{places[2]}/pc/dormeur/backups"]).lines
    return bool(rows) and rows[-1].split("\t")[1] == "full"


def page(server: Server, places: tuple[str, ...], user: str) -> str:
    """Give the title of the host's page, at what the reply names as its URL."""
    env = {
        "REMOTE_USER": user, "REQUEST_METHOD": "GET", "QUERY_STRING": "host=dormeur",
        "SCRIPT_NAME": "/BackupPC", "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip
    shown = server.run([f"{places[0]}/lib/realindex.cgi"], user="backuppc", env=env).stdout
    return shown.partition("<title>")[2].partition("</title>")[0]


def test_retired_and_resumed_its_settings_are_where_backuppc_reads_them(
    dugong: Server, dormeur: Laptop
) -> None:
    ours = dugong.read("/etc/BackupPC/pc/dormeur.pl")

    admin(dugong, "retire", "dormeur", check=True)
    stopped = dugong.read("/etc/BackupPC/pc/dormeur.pl")
    admin(dugong, "resume", "dormeur", check=True)

    assert "BackupsDisable" in stopped
    assert dugong.read("/etc/BackupPC/pc/dormeur.pl") == ours
    assert dugong.run("ls -A /etc/BackupPC | grep backuppc-register").lines == []


def test_the_same_in_epels_places(dugong: Server, dormeur: Laptop) -> None:
    dugong.run(move(SOURCE, EPEL), check=True)
    dugong.configure("/data/BackupPC", "/var/lib/BackupPC")
    dugong.configure('socket = "/run/BackupPC/BackupPC.sock"\n', "")  # found by itself

    again = dormeur.run("sh /root/setup.sh --unattended --verify", timeout=60).status

    assert again == 0
    assert [one for one in findings(dugong, *LOOKED_AT) if one[0] != "green"] == []
    assert ("green", "BackupPC 4.4.0 (/usr/share/BackupPC)") in findings(dugong, "backuppc")
    assert "dormeur" in page(dugong, EPEL, "cmartin")


def test_a_wrong_install_dir_is_told_with_its_path(dugong: Server, dormeur: Laptop) -> None:
    dugong.configure("[state]", 'install_dir = "/opt/bpc"\n[state]')

    said = admin(dugong, "check", "linux:cmartin", "--from", "10.77.0.11")
    found = findings(dugong, "backuppc", "backuppc-config")
    dugong.configure('install_dir = "/opt/bpc"\n', "")

    wanted = "[backuppc] install_dir: there is no /opt/bpc/lib/BackupPC/Lib.pm"
    assert wanted in said
    assert {level for level, what in found if wanted in what} == {"red"}


def test_backuppc_3_is_refused_in_words_and_nothing_is_written(dugong: Server, dormeur: Laptop) -> None:
    main = f"{EPEL[0]}/lib/BackupPC/Lib.pm"
    dugong.run(f"cp -a {main} /root/; sed -i \"s/Version => '4.4.0'/Version => '3.3.0'/\" {main}", check=True)
    before = dugong.picture("/etc/BackupPC", STATE)

    answers = [
        dormeur.run(f"{SSH} {asked}").stdout
        for asked in ("linux:adupont", "check:linux:adupont", "verify:linux:cmartin")
    ]
    found = findings(dugong, "backuppc")
    init = admin(dugong, "init", "--dry-run")
    log = dugong.syslog()[-3:]
    after = dugong.picture("/etc/BackupPC", STATE)
    dugong.run(f"cp -a /root/Lib.pm {main}", check=True)

    words = f"BackupPC is 3.3.0 ({main}); backuppc-register needs BackupPC 4.4 or later"
    assert [line.endswith(f"detail={words}") for line in log] == [True] * 3, (answers, log)
    assert found == [("red", f"BackupPC is 3.3.0 ({main})")]
    assert words in init
    assert {path for path in before if before[path] != after.get(path)} <= {
        f"{STATE}/limits",
        f"{STATE}/limits/requests",
    }
