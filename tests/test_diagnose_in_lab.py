"""Servers that are broken in one place each: `diagnose` names it, and goes on with all the rest."""

from __future__ import annotations

import json

import pytest
from lab import Lab

pytestmark = pytest.mark.lab

ADMIN = "python3 -I /opt/backuppc-register/bin/backuppc-register-admin"
ETC, STATE, TOP = "/etc/backuppc", "/var/lib/backuppc-register", "/var/lib/backuppc"
CONFIG = "/etc/backuppc-register/config.toml"
# BackupPC's pages behind a login, or open to everybody.
WEB = """
import http.server, sys
class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]))
        self.end_headers()
        self.wfile.write(b'<link href="/backuppc/image/BackupPC_stnd.css">')
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", 80), Pages).serve_forever()
"""


class Site:
    """A server with one registered laptop, where everything is as it should be."""

    def __init__(self, lab: Lab) -> None:
        self.dugong = lab.server("dugong.univ-brest.fr")
        self.dugong.configure("https://dugong.univ-brest.fr/", "http://127.0.0.1/")
        self.dugong.write("/root/web.py", WEB)
        self.serve("401")
        laptop = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
        laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        laptop.write("/root/.ssh/known_hosts", self.dugong.known_hosts, mode=0o600)
        ssh = "ssh -x -a -i /root/register-key -l backuppc 10.77.0.1 linux:cmartin"
        laptop.run(ssh, timeout=40, check=True)
        self.dugong.run(f"{ADMIN} reconcile", check=True)

    def serve(self, status: str) -> None:
        self.web = self.dugong.start(["python3", "/root/web.py", status])
        self.dugong.wait_for(lambda: self.dugong.listens(80), "the web server")

    def diagnose(self, *options: str, user: str = "root"):
        return self.dugong.run([*ADMIN.split(), "diagnose", *options], user=user, timeout=60)

    def findings(self, *options: str, user: str = "root") -> list[tuple[str, str, str]]:
        """What is not green."""
        answer = self.diagnose("--json", *options, user=user)
        assert answer.stderr == ""
        found = json.loads(answer.stdout)
        assert answer.status == int(any(one["level"] != "green" for one in found))
        assert all(one["advice"] for one in found if one["level"] != "green")
        return [(one["name"], one["level"], one["what"]) for one in found if one["level"] != "green"]


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        yield Site(lab)


def test_where_nothing_is_wrong_all_is_green_for_root_and_for_backuppcs_account(site):
    assert site.findings() == []
    assert site.findings(user="backuppc") == []


def test_a_third_account_is_told_to_stay_away(site):
    assert site.diagnose(user="nobody").status == 2


def test_one_screen_with_advice_and_metrics_for_monitoring(site):
    site.dugong.run(f"install -d -o backuppc /srv/prometheus; chmod 777 {STATE}", check=True)

    answer = site.diagnose("--prometheus", "/srv/prometheus/backuppc.prom")

    site.dugong.run(f"chmod 750 {STATE}", check=True)
    assert answer.status == 1
    assert len(answer.stdout.splitlines()) < 45
    red = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("red")}
    assert red == {"state", "state-files"}
    metrics = site.dugong.read("/srv/prometheus/backuppc.prom").splitlines()
    assert 'backuppc_register_check{check="state"} 2' in metrics
    assert 'backuppc_register_check{check="lock"} 0' in metrics
    assert site.dugong.run("ls -A /srv/prometheus").lines == ["backuppc.prom"]
    assert site.diagnose("--quiet").stdout == ""


def add(line: str) -> str:
    return f"cp -a {ETC}/hosts /root/hosts; printf '%s\\n' '{line}' >> {ETC}/hosts"


def perl(line: str) -> str:
    return f"cp -a {ETC}/config.pl /root/config.pl; printf '%s\\n' '{line}' >> {ETC}/config.pl"


HOSTS = f"cp -a /root/hosts {ETC}/hosts"
PERL = f"cp -a /root/config.pl {ETC}/config.pl"
KEYS = f"{TOP}/.ssh/authorized_keys"
RECORD = f"{STATE}/hosts/dormeur/record.json"


def edit(path: str, script: str) -> str:
    return f"cp -a {path} /root/edited; sed -i '{script}' {path}; chown --reference=/root/edited {path}"


def back(path: str) -> str:
    return f"cp -a /root/edited {path}"


# What breaks it, what mends it, and what diagnose says: check, level, words.
BROKEN = {
    "our configuration has a wrong key": (
        edit(CONFIG, "s/^domains/domians/"), back(CONFIG),
        "configuration", "red", "domians: is no key of ours",
    ),
    "there is no configuration": (
        f"mv {CONFIG} /root/away", f"mv /root/away {CONFIG}", "configuration", "red", "No such file",
    ),
    "our configuration is root's alone": (
        f"chmod 600 {CONFIG}", f"chmod 640 {CONFIG}", "configuration", "red", "is closed to backuppc",
    ),
    "BackupPC's folder became root's": (
        f"chown root {ETC}", f"chown backuppc {ETC}; chmod g+s {ETC}", "account", "red", "owned by uid 0",
    ),
    "the state is not ours any more": (
        f"chown root {STATE}", f"chown backuppc {STATE}", "state", "red", "not open to this account",
    ),
    "the state is open to everybody": (
        f"chmod 755 {STATE}", f"chmod 750 {STATE}", "state", "yellow", "open to everybody",
    ),
    "the state is gone": (
        f"mv {STATE} {STATE}.away", f"mv {STATE}.away {STATE}", "state", "red", "No such file",
    ),
    "root made a file among ours": (
        f"chown root {RECORD}", f"chown backuppc {RECORD}",
        "state-files", "red", "record.json is owned by uid 0",
    ),
    "a private key is open": (
        f"chmod 644 {STATE}/hosts/dormeur/key", f"chmod 600 {STATE}/hosts/dormeur/key",
        "state-files", "red", "key has mode 644",
    ),
    "nobody reconciles": (
        f"mv {STATE}/ledger /root/away", f"mv /root/away {STATE}/ledger", "reconcile", "yellow", "never ran",
    ),
    "a line is lost": (
        edit(f"{ETC}/hosts", "/^dormeur/d"), back(f"{ETC}/hosts"), "reconcile", "red", "dormeur",
    ),
    "the record is another person's": (
        edit(f"{ETC}/hosts", "s/cmartin/adupont/"), back(f"{ETC}/hosts"), "undecided", "yellow", "adupont",
    ),
    "a purge is overdue": (
        edit(RECORD, 's/"purge": ""/"purge": "2026-01-01T00:00:00+00:00"/'), back(RECORD),
        "purges", "yellow", "dormeur",
    ),
    "the disk of the data is full": (
        f"mkdir /root/top; mount --bind {TOP} /root/top; mount -t tmpfs -o size=1m,mode=755 tmpfs {TOP};"
        f" cp -a /root/top/.ssh {TOP}/; mkdir {TOP}/pc; chown -R backuppc: {TOP};"
        f" cat /dev/zero > {TOP}/x || true",
        f"umount {TOP}; umount /root/top", "disks", "red", "0.0% of the space",
    ),
    "inodes run out": (
        f"mount -t tmpfs -o nr_inodes=20,mode=2755,uid=backuppc tmpfs {STATE};"
        f" cd {STATE}; touch 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 || true; chown backuppc *",
        f"umount {STATE}", "disks", "red", "0.0% of the inodes",
    ),
    "the clock went back": (
        f"touch -d '2 days' {STATE}/ledger", f"touch {STATE}/ledger", "clock", "red", "the clock says",
    ),
    "the hosts file is root's": (
        f"chown root {ETC}/hosts; chmod 600 {ETC}/hosts",
        f"chown backuppc {ETC}/hosts; chmod 644 {ETC}/hosts",
        "hosts-file", "red", "Permission denied",
    ),
    "the hosts file would lose its group": (
        f"chmod g-s {ETC}", f"chmod g+s {ETC}", "hosts-file", "red", "lose its group",
    ),
    "the hosts file is not there": (
        f"mv {ETC}/hosts /root/away", f"mv /root/away {ETC}/hosts", "hosts-file", "red", "No such file",
    ),
    "no header": (
        edit(f"{ETC}/hosts", "/^host /d"), back(f"{ETC}/hosts"), "hosts-header", "red", "no header",
    ),
    "a line that BackupPC ignores": (
        add(" indented 0 cmartin"), HOSTS, "hosts-skipped", "yellow", "indented 0 cmartin",
    ),
    "two lines of one host": (
        add("DORMEUR 0 cmartin"), HOSTS, "hosts-doubled", "red", "dormeur",
    ),
    "a name that is BackupPC's own": (add("config 0 cmartin"), HOSTS, "hosts-lines", "red", "config"),
    "a host by dhcp": (add("calmar 1 cmartin"), HOSTS, "hosts-lines", "yellow", "calmar"),
    "a name of a pool": (add("wifi-12.univ-brest.fr 0 cmartin"), HOSTS, "pool-names", "yellow", "wifi-12"),
    "LOCK is root's": (
        f"chown root:root {ETC}/LOCK; chmod 600 {ETC}/LOCK", f"rm {ETC}/LOCK",
        "lock", "red", "without a lock",
    ),
    "config.pl has a mistake": (perl("$Conf{"), PERL, "backuppc-config", "red", "config.pl"),
    "a host's .pl is closed": (
        f"chown root {ETC}/dormeur.pl; chmod 600 {ETC}/dormeur.pl", f"chown backuppc {ETC}/dormeur.pl",
        "per-host-configs", "red", "dormeur.pl",
    ),
    "BackupPC's data is elsewhere": (
        perl('$Conf{TopDir} = "/srv/backuppc";'), PERL, "top-dir", "red", "/srv/backuppc",
    ),
    "owners run programs": (
        perl("$Conf{CgiUserConfigEdit}{RsyncSshArgs} = 1;"), PERL, "web-editor", "red", "RsyncSshArgs",
    ),
    "owners stop backups": (
        perl("$Conf{CgiUserConfigEdit}{BackupsDisable} = 1;"), PERL, "web-editor", "yellow", "BackupsDisable",
    ),
    "an ordinary person is an administrator": (
        perl('$Conf{CgiAdminUsers} = "backuppc cmartin-admin";'), PERL, "admin-users", "red", "cmartin",
    ),
    "everybody is an administrator": (
        perl('$Conf{CgiAdminUsers} = "*";'), PERL, "admin-users", "red", "everybody",
    ),
    "no sshd settings for us": (
        "echo 'AllowUsers root' > /etc/ssh/sshd_config.d/x.conf", "rm /etc/ssh/sshd_config.d/x.conf",
        "sshd", "red", "shuts backuppc out",
    ),
    "sshd without PAM": (
        "echo 'UsePAM no' > /etc/ssh/sshd_config.d/x.conf", "rm /etc/ssh/sshd_config.d/x.conf",
        "sshd", "red", "usepam no",
    ),
    "no register-key": (
        f"mv {KEYS} /root/away", f"mv /root/away {KEYS}", "authorized-keys", "red", "nobody can",
    ),
    "the register-key is not restricted": (
        edit(KEYS, "s/^restrict,//"), back(KEYS), "authorized-keys", "red", "not restricted",
    ),
    "our program is elsewhere": (
        edit(KEYS, "s,/opt/,/usr/,"), back(KEYS), "authorized-keys", "red", "starts /usr/bin/python3",
    ),
    "authorized_keys is open": (
        f"chmod 666 {KEYS}", f"chmod 600 {KEYS}", "authorized-keys", "red", "sshd ignores",
    ),
    "nobody of the base": (
        edit(CONFIG, "s/^base = .*/&\\nfilter = \"(cn={logon})\"/"), back(CONFIG),
        "directory", "yellow", "does not know cmartin",
    ),
    "a uid was given out again": (
        edit(RECORD, 's/"entry": ".*"/"entry": "entryUUID:11111111-2222-3333-4444-555555555555"/'),
        back(RECORD),
        "persons", "red", "dormeur (cmartin)",
    ),
    "the uid of somebody who left was given out again": (
        edit(
            RECORD,
            's/"entry": ".*"/"entry": "entryUUID:11111111-2222-3333-4444-555555555555"/;'
            's/"retired": ""/"retired": "2026-11-22T12:00:00+00:00"/',
        ),
        back(RECORD),
        "persons", "red", "dormeur (cmartin)",
    ),
    "rsync_bpc is gone": (
        perl('$Conf{RsyncBackupPCPath} = "/nowhere/rsync_bpc";'), PERL,
        "backuppc-rsync", "red", "cannot be started",
    ),
    "the log's rule is gone": (
        "sed -i s/^local3/local5/ /etc/rsyslog.conf", "sed -i s/^local5/local3/ /etc/rsyslog.conf",
        "syslog", "red", "did not arrive",
    ),
}  # fmt: skip


WIDE = {"configuration", "account", "state", "hosts-file", "backuppc-config"}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named(site, case):
    breaks, mends, check, level, words = case
    # What breaks much is a trial for every check; elsewhere the one will do.
    only = () if check in WIDE else ("--only", check)
    change(site.dugong, breaks)
    try:
        found = site.findings(*only)
    finally:
        change(site.dugong, mends)

    assert any(name == check and how == level and words in what for name, how, what in found), found
    assert not [what for _, _, what in found if "this check does not work" in what]


def change(dugong, command):
    dugong.run(command, check=True)
    if "rsyslog" in command:
        dugong.rsyslog.restart()


SERVICES = {
    "slapd": ("directory", "red", "ldap://127.0.0.1"),
    "nsd": ("dns", "red", "127.0.0.1"),
    "daemon": ("daemon", "red", "not running"),
    "sshd": ("sshd", "red", "port 22"),
    "rsyslog": ("syslog", "red", "nobody listens"),
}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_down_is_named(site, service):
    if service == "rsyslog":
        site.dugong.run("rm -f /dev/log")
    getattr(site.dugong, service).stop()
    try:
        found = site.findings()
    finally:
        getattr(site.dugong, service).start()

    name, level, words = SERVICES[service]
    assert any(one[:2] == (name, level) and words in one[2] for one in found), found


def test_pages_without_a_login_are_named(site):
    site.web.stop()
    gone = site.findings("--only", "web")
    site.serve("200")
    open_ = site.findings("--only", "web")
    site.web.stop()

    assert [one[:2] for one in gone] == [("web", "yellow")]
    assert [one[:2] for one in open_] == [("web", "red")]
    assert "open to everybody" in open_[0][2]


def test_a_server_with_nothing_left_gets_an_answer_all_the_same(site):
    site.dugong.run(f"rm -rf {CONFIG} {STATE} {ETC}/hosts {ETC}/config.pl {TOP}/pc {TOP}/.ssh", check=True)

    found = site.findings()

    assert {name for name, level, _ in found if level == "red"} >= {
        "configuration", "state", "hosts-file", "backuppc-config", "top-dir", "authorized-keys"
    }  # fmt: skip
