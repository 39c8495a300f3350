"""Servers that are broken in one place each: `diagnose` names it, and goes on with all the rest."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from advice import useless
from lab import Lab
from services import slapd

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

HELD = (
    f"install -d -o backuppc -g backuppc -m 750 {STATE}/register-keys;"
    f" install -d -o backuppc -g backuppc -m 700 {STATE}/register-keys/lab;"
    f" install -o backuppc -g backuppc -m 600 /root/register-key {STATE}/register-keys/lab/key"
)


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
        # As `register-key add` leaves it: the private half is in the state.
        self.dugong.run(HELD, check=True)

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
        assert not [one["advice"] for one in found if one["level"] != "green" and useless(one["advice"])]
        return [(one["name"], one["level"], one["what"]) for one in found if one["level"] != "green"]


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        yield Site(lab)


def test_where_nothing_is_wrong_all_is_green_for_root_and_for_backuppcs_account(site):
    # The lab's pages are no Apache, and speak http: the story of that check has pages of its own.
    of_the_lab = {"web-requests"}

    for user in ("root", "backuppc"):
        assert [one for one in site.findings(user=user) if one[0] not in of_the_lab] == []


def test_a_third_account_is_told_to_stay_away(site):
    assert site.diagnose(user="nobody").status == 2


def test_one_screen_with_advice_and_metrics_for_monitoring(site):
    site.dugong.run(f"install -d -m 755 /srv/prometheus; chmod 777 {STATE}", check=True)  # root's

    answer = site.diagnose("--prometheus", "/srv/prometheus/backuppc.prom")

    site.dugong.run(f"chmod 750 {STATE}", check=True)
    assert answer.status == 1
    assert len(answer.stdout.splitlines()) < 50
    red = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("red")}
    assert red == {"state", "state-files"}
    metrics = site.dugong.read("/srv/prometheus/backuppc.prom").splitlines()
    assert 'backuppc_register_check{check="state"} 2' in metrics
    assert 'backuppc_register_check{check="lock"} 0' in metrics
    assert site.dugong.run("ls -A /srv/prometheus").lines == ["backuppc.prom"]
    assert site.diagnose("--quiet", "--only", "state", "--only", "lock").stdout == ""


def add(line: str) -> str:
    return f"cp -a {ETC}/hosts /root/hosts; printf '%s\\n' '{line}' >> {ETC}/hosts"


def perl(line: str) -> str:
    return f"cp -a {ETC}/config.pl /root/config.pl; printf '%s\\n' '{line}' >> {ETC}/config.pl"


HOSTS = f"cp -a /root/hosts {ETC}/hosts"
PERL = f"cp -a /root/config.pl {ETC}/config.pl"
KEYS = f"{TOP}/.ssh/authorized_keys"
SOON = f"{date.today() + timedelta(days=10):%Y%m%d}"
LIB, PROGRAM = "/usr/share/backuppc/lib/BackupPC/Lib.pm", "/opt/backuppc-register/backuppc_register"
RECORD = f"{STATE}/hosts/dormeur/record.json"


def edit(path: str, script: str) -> str:
    return f"cp -a {path} /root/edited; sed -i '{script}' {path}; chown --reference=/root/edited {path}"


def back(path: str) -> str:
    return f"cp -a /root/edited {path}"


PING = "/usr/bin/ping"
HOST_KEY = f"{STATE}/hosts/dormeur/key"


def instead(path: str, text: str) -> str:
    """Let *path* have only *text*, with the owner and mode that it has."""
    return f"cp -a {path} /root/edited; printf '%s' '{text}' > {path}"


# What breaks it, what mends it, and what diagnose says: check, level, words.
BROKEN = {
    "ping has lost its right": (
        f"setcap -r {PING}", f"setcap cap_net_raw+ep {PING}",
        "ping", "red", "socket: Operation not permitted",
    ),
    "ping is not there": (
        f"mv {PING} /root/ping", f"mv /root/ping {PING}", "ping", "red", "there is no /bin/ping",
    ),
    "ping may not be started": (
        f"cp -a {PING} /root/ping; chmod 700 {PING}",
        f"cp -a /root/ping {PING}; setcap cap_net_raw+ep {PING}",
        "ping", "red", "/bin/ping cannot be started: it is not executable",
    ),
    "PingPath is mistyped": (
        perl('$Conf{PingPath} = "/usr/local/bin/ping";'), PERL,
        "ping", "red", "there is no /usr/local/bin/ping",
    ),
    "PingCmd has a mistake": (
        perl('$Conf{PingCmd} = "$pingPath -Z $host";'), PERL, "ping", "red", "backuppc cannot ping",
    ),
    "only the ping of IPv6 is not there": (
        perl('$Conf{Ping6Path} = "/bin/ping-6";'), PERL, "ping", "yellow", "by IPv6",
    ),
    "one host has a ping of its own that does not work": (
        f"cp -a {ETC}/dormeur.pl /root/edited;"
        f" echo '$Conf{{PingPath}} = \"/bin/false\";' >> {ETC}/dormeur.pl",
        back(f"{ETC}/dormeur.pl"), "ping", "red", "does not work for dormeur: /bin/false ended with status 1",
    ),
    "every machine is too slow": (
        perl("$Conf{PingMaxMsec} = 0;"), PERL, "ping", "yellow", "every machine for too slow",
    ),
    "another disk is where the state was": (
        f"mount -t tmpfs -o mode=2750,uid=$(id -u backuppc),gid=$(id -g backuppc) tmpfs {STATE}",
        f"umount {STATE}", "ssh-files", "red",
        f"or backuppc cannot read it: dormeur ({STATE}/hosts/dormeur/ssh_config: No such file",
    ),
    "a host's key is gone": (
        f"mv {HOST_KEY} /root/away", f"mv /root/away {HOST_KEY}",
        "ssh-files", "red", f"dormeur ({HOST_KEY}: No such file",
    ),
    "a host's key is root's": (
        f"chown root {HOST_KEY}", f"chown backuppc {HOST_KEY}",
        "ssh-files", "red", f"dormeur ({HOST_KEY}: Permission denied",
    ),
    "a host's key is empty": (
        instead(HOST_KEY, ""), back(HOST_KEY), "ssh-files", "red", f"dormeur ({HOST_KEY}: it is empty",
    ),
    "a host's ssh_config is gone": (
        f"mv {STATE}/hosts/dormeur/ssh_config /root/away", f"mv /root/away {STATE}/hosts/dormeur/ssh_config",
        "ssh-files", "red", "dormeur/ssh_config: No such file",
    ),
    "a .pl names another ssh_config": (
        edit(f"{ETC}/dormeur.pl", "s,/ssh_config,/ssh-config,"), back(f"{ETC}/dormeur.pl"),
        "ssh-files", "red", "dormeur/ssh-config: No such file",
    ),
    "config.pl is empty": (
        instead(f"{ETC}/config.pl", ""), back(f"{ETC}/config.pl"),
        "backuppc-config", "red", "BackupPC cannot work: /etc/backuppc/config.pl does not set Language,",
    ),
    "config.pl was cut": (
        f"cp -a {ETC}/config.pl /root/edited; head -c 9000 /root/edited | grep -v '^#' > {ETC}/config.pl; "
        f"echo '1;' >> {ETC}/config.pl",
        back(f"{ETC}/config.pl"), "backuppc-config", "red", "does not set",
    ),
    "config.pl ends Perl": (
        perl("exit 0;"), PERL,
        "backuppc-config", "red", "config.pl: the settings end the program that reads them",
    ),
    "config.pl dies": (perl('die("no more\\n");'), PERL, "backuppc-config", "red", "no more"),
    "config.pl never ends": (perl("sleep 1 while 1;"), PERL, "backuppc-config", "red", "took too long"),
    "config.pl prints without end": (
        perl('print "x" x 65536 while 1;'), PERL, "backuppc-config", "red", "it prints without end",
    ),
    "our configuration has a wrong key": (
        edit(CONFIG, "s/^domains/domians/"), back(CONFIG),
        "configuration", "red", "domians: is not a known key",
    ),
    "there is no configuration": (
        f"mv {CONFIG} /root/away", f"mv /root/away {CONFIG}", "configuration", "red", "No such file",
    ),
    "our configuration is root's alone": (
        f"chmod 600 {CONFIG}", f"chmod 640 {CONFIG}", "configuration", "red", "cannot be read by backuppc",
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
    "reconcile did not run for hours": (
        f"cp -a {STATE}/reconciled /root/edited; date -u -d '-3 hours' -Iseconds > {STATE}/reconciled",
        back(f"{STATE}/reconciled"), "reconcile", "yellow", "reconcile last ran at",
    ),
    "reconcile did not run for days, though machines register": (
        f"cp -a {STATE}/reconciled /root/edited; date -u -d '-2 days' -Iseconds > {STATE}/reconciled",
        back(f"{STATE}/reconciled"), "reconcile", "red", "BackupPC's second nightly run",
    ),
    "reconcile ran tomorrow": (
        f"cp -a {STATE}/reconciled /root/edited; date -u -d '1 day' -Iseconds > {STATE}/reconciled",
        back(f"{STATE}/reconciled"), "reconcile", "yellow", "in the future",
    ),
    "nobody reads the file of cron": (
        "mkdir -p /etc/cron.d; cp /opt/backuppc-register/packaging/backuppc-register.cron"
        " /etc/cron.d/backuppc-register; chmod 644 /etc/cron.d/backuppc-register",
        "rm /etc/cron.d/backuppc-register", "reconcile", "yellow", "no cron runs, so nothing reads",
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
    "the hosts file is mounted alone": (
        f"cp -a {ETC}/hosts /root/alone; mount --bind /root/alone {ETC}/hosts", f"umount {ETC}/hosts",
        "hosts-replace", "red", "/etc/backuppc/hosts is a mount of its own",
    ),
    "the hosts file is immutable": (
        f"chattr +i {ETC}/hosts", f"chattr -i {ETC}/hosts",
        "hosts-replace", "red", "/etc/backuppc/hosts is immutable",
    ),
    "the hosts file's folder is append-only": (
        f"chattr +a {ETC}", f"chattr -a {ETC}", "hosts-replace", "red", "/etc/backuppc is append-only",
    ),
    "the hosts file is a link": (
        f"mv {ETC}/hosts {TOP}/hosts; ln -s {TOP}/hosts {ETC}/hosts",
        f"rm {ETC}/hosts; mv {TOP}/hosts {ETC}/hosts",
        "hosts-replace", "red", "/etc/backuppc/hosts is a symbolic link to /var/lib/backuppc/hosts",
    ),
    "the hosts file's folder is closed": (
        f"chmod a-w {ETC}", f"chmod u+w {ETC}; chmod g+s {ETC}", "hosts-replace", "red", "Permission denied",
    ),
    "the hosts file's folder is mounted read-only": (
        f"mount --bind {ETC} {ETC}; mount -o remount,bind,ro {ETC}", f"umount {ETC}",
        "hosts-replace", "red", "Read-only file system",
    ),
    "the hosts file's disk is full": (
        f"mkdir /root/etc; mount --bind {ETC} /root/etc; mount -t tmpfs -o size=400k,mode=2755 tmpfs {ETC};"
        f" cp -a /root/etc/. {ETC}/; cat /dev/zero > {ETC}/x || true",
        f"umount {ETC}; umount /root/etc; rmdir /root/etc",
        "hosts-replace", "red", "No space left on device",
    ),
    "something is where the new hosts file is made": (
        f"mkdir -p {ETC}/.hosts.backuppc-register", f"rmdir {ETC}/.hosts.backuppc-register",
        "hosts-replace", "red", "Is a directory",
    ),
    "the hosts file's group cannot be kept": (
        f"chmod g-s {ETC}; chgrp adm {ETC}/hosts", f"chgrp www-data {ETC}/hosts; chmod g+s {ETC}",
        "hosts-replace", "red", "Operation not permitted",
    ),
    "no header": (
        edit(f"{ETC}/hosts", "/^host /d"), back(f"{ETC}/hosts"), "hosts-file", "red", "no header",
    ),
    "a line that BackupPC ignores": (
        add(" indented 0 cmartin"), HOSTS, "hosts-file", "yellow", "indented 0 cmartin",
    ),
    "two lines of one host": (
        add("DORMEUR 0 cmartin"), HOSTS, "hosts-file", "red", "several lines: dormeur",
    ),
    "a name that is BackupPC's own": (add("config 0 cmartin"), HOSTS, "hosts-file", "red", "ssh: config"),
    "a host by dhcp": (add("calmar 1 cmartin"), HOSTS, "hosts-file", "yellow", "not 0: calmar"),
    "a name of a pool": (
        add("wifi-12.univ-brest.fr 0 cmartin"), HOSTS, "hosts-file", "yellow", "pool: wifi-12",
    ),
    "LOCK is root's": (
        f"chown root:root {ETC}/LOCK; chmod 600 {ETC}/LOCK", f"rm {ETC}/LOCK",
        "lock", "red", "works without a lock",
    ),
    "config.pl has a mistake": (perl("$Conf{"), PERL, "backuppc-config", "red", "config.pl"),
    "a host's .pl is closed": (
        f"chown root {ETC}/dormeur.pl; chmod 600 {ETC}/dormeur.pl", f"chown backuppc {ETC}/dormeur.pl",
        "settings-files", "red", "backuppc cannot read /etc/backuppc/dormeur.pl",
    ),
    "a host's .pl has a mistake": (
        f"cp -a {ETC}/dormeur.pl /root/edited; echo '$Conf{{' >> {ETC}/dormeur.pl", back(f"{ETC}/dormeur.pl"),
        "host-settings", "red", "dormeur (Couldn't execute /etc/backuppc/dormeur.pl: ",
    ),
    "a host's .pl never ends": (
        f"cp -a {ETC}/dormeur.pl /root/edited; echo 'sleep(60);' >> {ETC}/dormeur.pl",
        back(f"{ETC}/dormeur.pl"), "host-settings", "red", "dormeur (it takes too long)",
    ),
    "everybody can write config.pl": (
        f"chmod 666 {ETC}/config.pl", f"chmod 644 {ETC}/config.pl",
        "settings-files", "red", "everybody can write /etc/backuppc/config.pl",
    ),
    "the web server can write BackupPC's folder": (
        f"chmod g+w {ETC}", f"chmod g-w {ETC}",
        "settings-files", "yellow", "a group can write /etc/backuppc,",
    ),
    "everybody can write the hosts file": (
        f"chmod 666 {ETC}/hosts", f"chmod 644 {ETC}/hosts", "hosts-file", "yellow", "written by others",
    ),
    "a host without a user": (add("calmar 0"), HOSTS, "hosts-file", "yellow", "no user: calmar"),
    "BackupPC is an older one": (
        edit(LIB, "s/4[.]4[.]0/4.3.2/"), back(LIB),
        "backuppc", "red", "BackupPC is 4.3.2",
    ),
    "others can change our program": (
        f"chmod o+w {PROGRAM}/protocol/errors.py", f"chmod o-w {PROGRAM}/protocol/errors.py",
        "program", "red", "errors.py has mode",
    ),
    "our program is BackupPC's account's": (
        f"chown backuppc {PROGRAM}", f"chown root {PROGRAM}", "program", "red", "is owned by uid",
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
    "no register-key": (
        f"mv {KEYS} /root/away", f"mv /root/away {KEYS}", "authorized-keys", "red", "no machine can",
    ),
    "the register-key is not restricted": (
        edit(KEYS, "s/^restrict,//"), back(KEYS), "authorized-keys", "red", "not restricted",
    ),
    "our program is elsewhere": (
        edit(KEYS, "s,/opt/,/usr/,"), back(KEYS), "authorized-keys", "red", "starts /usr/bin/python3",
    ),
    "the register-key has expired": (
        edit(KEYS, 's/^restrict,/&expiry-time="20260101",/'), back(KEYS),
        "authorized-keys", "red", "lab expired on 20260101",
    ),
    "the register-key expires soon": (
        edit(KEYS, f's/^restrict,/&expiry-time="{SOON}",/'), back(KEYS),
        "authorized-keys", "yellow", "lab expires on",
    ),
    "a register-key without a label": (
        edit(KEYS, "s/ --register-key lab//"), back(KEYS), "authorized-keys", "yellow", "has no label",
    ),
    "the register-key opens a shell as well": (
        f"cp -a {KEYS} /root/edited; cat /root/register-key.pub >> {KEYS}", back(KEYS),
        "authorized-keys", "red", "lab has another line",
    ),
    "the private half is another key's": (
        f"cp -a {KEYS} /root/edited; {ADMIN} register-key add x; {ADMIN} register-key add y;"
        f" cp {STATE}/register-keys/y/key {STATE}/register-keys/x/key",
        f"{ADMIN} register-key revoke x; {ADMIN} register-key revoke y; {back(KEYS)}",
        "authorized-keys", "yellow", "private half of the register-key x",
    ),
    "sshd reads other files": (
        "echo 'AuthorizedKeysFile /etc/ssh/keys/%u' > /etc/ssh/sshd_config.d/x.conf",
        "rm /etc/ssh/sshd_config.d/x.conf",
        "authorized-keys", "red", "sshd does not read /var/lib/backuppc/.ssh/authorized_keys",
    ),
    "a nameserver that is none": (
        edit(CONFIG, 's/^nameservers = .*/nameservers = ["127.0.0.1", "127.0.0.9"]/'), back(CONFIG),
        "dns", "red", "127.0.0.9",
    ),
    "this server has no domain": (
        "hostname nowhere", "hostname dugong", "dns", "yellow", "has no domain",
    ),
    "nobody knows this server's name": (
        "hostname elsewhere.univ-brest.fr", "hostname dugong",
        "dns", "yellow", "knows no address of elsewhere",
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


# As far as sshd is concerned: what breaks it, what mends it, what ssh says, what the advice names.
HALF = f"{STATE}/register-keys/lab/key"
X = "/etc/ssh/sshd_config.d/a.conf"  # read before ours, and the first value counts


def sshd_has(line: str) -> tuple[str, str]:
    return f"echo '{line}' > {X}", f"rm {X}"


NO_LOGIN = {
    "AllowUsers": (
        *sshd_has("AllowUsers root"),
        "Permission denied",
        f"allowusers shuts backuppc out: root (see {X}",
    ),
    "AllowGroups": (
        *sshd_has("AllowGroups sudo"),
        "Permission denied",
        "allowgroups shuts backuppc out: sudo",
    ),
    "DenyGroups": (*sshd_has("DenyGroups backup*"), "Permission denied", "denygroups shuts backuppc out"),
    "Match": (
        *sshd_has("Match User backuppc\nPubkeyAuthentication no\n"),
        "Permission denied",
        f"see {X}, line 2",
    ),
    "two methods": (
        *sshd_has("AuthenticationMethods publickey,password"),
        "Permission denied",
        "more than a key: publickey,password",
    ),
    "other kinds of keys": (
        *sshd_has("PubkeyAcceptedAlgorithms rsa-sha2-512"),
        "Permission denied",
        "accepts no ssh-ed25519 keys",
    ),
    "no PAM": (*sshd_has("UsePAM no"), "Permission denied", "usepam no"),
    "no session": (*sshd_has("Match User backuppc\nMaxSessions 0\n"), "", "maxsessions 0"),
    "another port": (*sshd_has("Port 2222"), "Connection refused", "port 2222, and setups come to port 22"),
    "another address": (
        *sshd_has("ListenAddress 10.77.0.99"),
        "Connection refused",
        "see Port and ListenAddress",
    ),
    "another command": (
        *sshd_has("ForceCommand /bin/echo welcome"),
        "another program answers the register-key lab",
        "forcecommand",
    ),
    "other host keys": (
        f"ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/new; echo 'HostKey /etc/ssh/new' > {X}",
        f"rm {X} /etc/ssh/new*",
        "Host key verification failed",
        "see HostKey",
    ),
    "an open authorized_keys": (
        f"chmod 666 {KEYS}",
        f"chmod 600 {KEYS}",
        "Permission denied",
        f"chmod go-w {KEYS}",
    ),
    "an open home": (f"chmod 777 {TOP}", f"chmod 750 {TOP}", "Permission denied", f"chmod go-w {TOP}"),
    "an expired key": (
        edit(KEYS, 's/^restrict,/&expiry-time="20260101",/'),
        back(KEYS),
        "Permission denied",
        "The key expired on 20260101",
    ),
    "a line that is gone": (
        edit(KEYS, "/lab/d"),
        back(KEYS),
        "Permission denied",
        "The key has no line in authorized_keys",
    ),
    "a line of another key": (
        f"ssh-keygen -q -t ed25519 -N '' -f /root/x; cp -a {KEYS} /root/edited;"
        f""" sed -i "s,AAAA[^ ]*,$(cut -d' ' -f2 /root/x.pub)," {KEYS}; chown backuppc: {KEYS}""",
        f"rm /root/x*; {back(KEYS)}",
        "Permission denied",
        "the private half here is of SHA256:",
    ),
    "a private half that is damaged": (
        f"cp -a {HALF} /root/half; head -c 200 /root/half > {HALF}",
        f"cp -a /root/half {HALF}",
        "Permission denied",
        "private half cannot be used",
    ),
    "a private half that is empty": (
        f"cp -a {HALF} /root/half; : > {HALF}",
        f"cp -a /root/half {HALF}",
        "Permission denied",
        "private half cannot be used",
    ),
    "an account that has expired": (
        "chage -E 2020-01-01 backuppc",
        "chage -E -1 backuppc",
        "account has expired",
        "chage -l backuppc",
    ),
    "an account without a shell": (
        "usermod -s /usr/sbin/nologin backuppc",
        "usermod -s /bin/sh backuppc",
        "This account is currently not available",
        "getent passwd backuppc",
    ),
    "a greeting before our answer": (
        "echo 'echo Welcome to dugong' > /etc/ssh/sshrc",
        "rm /etc/ssh/sshrc",
        "printed before our program's answer: Welcome to dugong",
        "/etc/ssh/sshrc",
    ),
    "our program is elsewhere": (
        edit(KEYS, "s,/opt/,/usr/,"),
        back(KEYS),
        "another program answers the register-key lab",
        "command= in authorized_keys",
    ),
}


@pytest.mark.parametrize("case", NO_LOGIN.values(), ids=NO_LOGIN)
def test_a_register_key_that_does_not_work_is_found_by_a_login(site, case):
    breaks, mends, said, cure = case
    restarts = "sshd_config" in breaks
    site.dugong.run(breaks, check=True)
    try:
        if restarts:
            site.dugong.sshd.stop()
            start_sshd(site.dugong)
        answer = site.diagnose("--json", "--only", "register-login")
    finally:
        site.dugong.run(mends, check=True)
        if restarts:
            stop_sshd(site.dugong)
            site.dugong.sshd.start()

    (found,) = (one for one in json.loads(answer.stdout) if one["level"] != "green")
    assert found["level"] == "red"
    assert said in found["what"]
    assert cure in found["advice"]
    assert not useless(found["advice"])


def start_sshd(dugong):
    """Start sshd wherever it listens."""
    dugong.other_sshd = dugong.start(["/usr/sbin/sshd", "-D"])  # it logs to syslog
    dugong.run("for n in $(seq 100); do ss -Hltn | grep -q . && exit; sleep .05; done; exit 0")


def stop_sshd(dugong):
    dugong.other_sshd.stop()


def test_sshd_itself_says_why_it_refuses_a_login(site):
    breaks, mends, *_ = NO_LOGIN["AllowUsers"]
    change(site.dugong, breaks)
    site.dugong.sshd.stop()
    start_sshd(site.dugong)
    listed = json.loads(site.diagnose("--json", "--only", "register-login").stdout)
    change(site.dugong, f"{mends}; chmod 777 {TOP}")
    stop_sshd(site.dugong)
    start_sshd(site.dugong)
    loose = json.loads(site.diagnose("--json", "--only", "register-login").stdout)
    change(site.dugong, f"chmod 750 {TOP}")
    stop_sshd(site.dugong)
    site.dugong.sshd.start()

    assert (
        "sshd says: User backuppc from 127.0.0.1 not allowed because not listed in AllowUsers"
        in listed[0]["what"]
    )
    assert (
        "Authentication refused: bad ownership or modes for directory /var/lib/backuppc" in loose[0]["what"]
    )


def test_a_login_counts_against_no_limit_and_is_no_refusal_in_the_log(site):
    limits = "stat -c %Y.%s /var/lib/backuppc-register/limits/requests"
    before = site.dugong.run(limits).stdout

    site.diagnose("--only", "register-login")

    assert site.dugong.run(limits).stdout == before
    line = site.dugong.syslog()[-1]
    assert "no command given" in line
    assert "register_key=lab" in line
    assert line.endswith("detail=asked by this server itself, as diagnose does")
    assert "no command" not in site.dugong.run(f"{ADMIN} log --refusals --json").stdout


def test_a_key_for_other_addresses_and_one_without_its_private_half_are_not_tried(site):
    change(site.dugong, edit(KEYS, 's/^restrict,/&from="192.0.2.0\\/24",/'))
    other = json.loads(site.diagnose("--json", "--only", "register-login").stdout)
    change(site.dugong, back(KEYS))
    change(site.dugong, f"mv {STATE}/register-keys/lab /root/lab")
    absent = json.loads(site.diagnose("--json", "--only", "register-login").stdout)
    change(site.dugong, f"mv /root/lab {STATE}/register-keys/lab")

    assert [one["level"] for one in (*other, *absent)] == ["green", "green"]
    assert "it is valid from 192.0.2.0/24" in other[0]["what"]
    assert "not tried, because their private half is not on this server: lab" in absent[0]["what"]


def test_without_a_key_to_try_sshds_settings_are_looked_at(site):
    change(site.dugong, f"mv {STATE}/register-keys/lab /root/lab; echo 'AllowGroups sudo' > {X}")
    found = site.findings("--only", "sshd")
    change(site.dugong, f"mv /root/lab {STATE}/register-keys/lab; rm {X}")

    assert [one[:2] for one in found] == [("sshd", "red")]
    assert "allowgroups shuts backuppc out: sudo" in found[0][2]


SERVICES = {
    "slapd": ("directory", "red", "ldap://127.0.0.1"),
    "nsd": ("dns", "red", "127.0.0.1"),
    "daemon": ("daemon", "red", "not running"),
    "sshd": ("sshd", "red", "port 22"),
    "rsyslog": ("syslog", "red", "nothing listens"),
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


def test_pages_that_are_open_by_http_are_named_where_people_are_told_https(site):
    site.web.stop()
    site.serve("200")
    site.dugong.configure("http://127.0.0.1/", "https://127.0.0.1/")
    found = site.findings("--only", "web")
    site.dugong.configure("https://127.0.0.1/", "http://127.0.0.1/")
    site.web.stop()

    assert [one[1] for one in found] == ["red"]
    assert "open to everybody: http://127.0.0.1/" in found[0][2]


def test_a_person_called_like_backuppcs_account_and_one_who_is_gone_are_named(site):
    site.dugong.slapd.add(slapd.person("backuppc", "Bertrand Ackup"))
    site.dugong.slapd.remove("cmartin")
    found = site.findings("--only", "admin-users", "--only", "persons")
    site.dugong.slapd.remove("backuppc")

    assert [one[:2] for one in found] == [("admin-users", "red"), ("persons", "yellow")]
    assert "a person backuppc, and CgiAdminUsers" in found[0][2]
    assert "any more, or disabled there: dormeur (cmartin)" in found[1][2]


def test_a_log_that_nobody_has_written_to_yet_is_no_reason_to_call_it_well(site):
    log = "/var/log/backuppc-register.log"
    change(site.dugong, f"rm {log}; : rsyslog")
    begun = site.findings("--only", "syslog")
    made = site.dugong.exists(log)
    change(site.dugong, f"rm {log}; sed -i s/^local3/local5/ /etc/rsyslog.conf")
    lost = site.findings("--only", "syslog")
    change(site.dugong, "sed -i s/^local5/local3/ /etc/rsyslog.conf")

    assert (begun, made) == ([], True)
    assert [one[:2] for one in lost] == [("syslog", "red")]


def test_without_a_file_the_journal_tells_whether_a_line_arrived(site):
    log = "/var/log/backuppc-register.log"
    # What journalctl says of a line, without a systemd: the words of rsyslog's own file.
    says = "#!/bin/sh\nsed 's/^.*backuppc-register[^:]*: //' /var/log/journal\n"
    site.dugong.write("/usr/bin/journalctl", says, mode=0o755)
    change(site.dugong, f"sed -i s,{log},/var/log/journal, /etc/rsyslog.conf; rm -f {log}")
    found = site.findings("--only", "syslog")
    site.dugong.run("rm /usr/bin/journalctl", check=True)
    change(site.dugong, f"sed -i s,/var/log/journal,{log}, /etc/rsyslog.conf")

    assert found == []


def test_a_server_with_nothing_left_gets_an_answer_all_the_same(site):
    site.dugong.run(f"rm -rf {CONFIG} {STATE} {ETC}/hosts {ETC}/config.pl {TOP}/pc {TOP}/.ssh", check=True)

    found = site.findings()

    assert {name for name, level, _ in found if level == "red"} >= {
        "configuration", "state", "hosts-file", "backuppc-config", "top-dir", "authorized-keys"
    }  # fmt: skip
