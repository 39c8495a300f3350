"""Registrations as they come in: ssh from a laptop to the real server, with all that stands behind it."""

from __future__ import annotations

import re

import pytest
from lab import Lab
from services import slapd

pytestmark = pytest.mark.lab

PLACES = ("/etc/backuppc", "/var/lib/backuppc-register/hosts", "/var/lib/backuppc/pc")
ADMIN = "python3 -I /opt/backuppc-register/bin/backuppc-register-admin"
SSH = "ssh -x -a -i /root/register-key -l backuppc"


class Site:
    """A server and a laptop that holds the register-key and knows the server's host key."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.dugong = lab.server("dugong.univ-brest.fr")
        self.dormeur = self.laptop("dormeur.univ-brest.fr", "10.77.0.11", address6="fd77::11")

    def laptop(self, name, address, **settings):
        laptop = self.lab.laptop(name, address, **settings)
        laptop.write("/root/register-key", self.dugong.register_key, mode=0o600)
        laptop.write("/root/.ssh/known_hosts", self.dugong.known_hosts, mode=0o600)
        return laptop

    def ask(self, command, laptop=None, *, server="10.77.0.1"):
        laptop = laptop or self.dormeur
        return laptop.run([*SSH.split(), server, *([command] if command else ["-T"])], timeout=40)

    def picture(self):
        """What a refusal must not change; the lock's own time is not of interest."""
        seen = self.dugong.picture(*(place for place in PLACES if self.dugong.exists(place)))
        return {path: what for path, what in seen.items() if not path.endswith("/LOCK")}


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        site = Site(lab)
        assert site.ask("linux:adupont", site.laptop("sirene.univ-brest.fr", "10.77.0.12")).status == 0
        yield site


@pytest.fixture(autouse=True)
def own_budget(site):
    """Let each test begin with nothing counted: together they ask more than one machine may in a minute."""
    site.dugong.run("rm -f /var/lib/backuppc-register/limits/requests", check=True)


@pytest.fixture
def unchanged(site):
    """Whatever happens in the test changes no byte of what is at stake."""
    before = site.picture()
    yield
    assert site.picture() == before


def outcome(result):
    """Return the code of a refusal; what else a reply must have is checked on the way."""
    first, *further = result.stdout.split("\n")
    assert result.stderr == ""
    assert re.match(r"\S+ [0-9]+ \S+ 22 ", first), first
    assert further[0].startswith("error:")
    return further[0].removeprefix("error:"), result.status


def test_the_originals_own_command_line_registers_with_its_standard_input_open(site):
    mimosa = site.laptop("mimosa.univ-brest.fr", "10.77.0.13")
    mimosa.run("useradd -r -m -s /bin/sh bckpciuem", check=True)
    mimosa.write("/home/bckpciuem/register-key", site.dugong.register_key, mode=0o600, owner="bckpciuem")
    mimosa.write("/home/bckpciuem/.ssh/known_hosts", site.dugong.known_hosts, owner="bckpciuem")
    command = (
        "cd /home/bckpciuem; su bckpciuem -c "
        '"env SSH_AUTH_SOCK= ssh -x -a -i register-key -l backuppc dugong.univ-brest.fr mac:cmartin"'
        ' >"/tmp/resultat.$$" 2>&1; cat /tmp/resultat.$$'
    )

    reply = mimosa.start(command).wait(20, leave_open=True).stdout.splitlines()

    assert reply[0] == "success"
    words = dict(line.split(": ", 1) for line in reply[1:])
    assert re.fullmatch(r"ssh-ed25519 [A-Za-z0-9+/=]+ backuppc server to client mimosa ssh key", words["key"])
    assert words["url"] == "https://dugong.univ-brest.fr/backuppc/index.cgi?host=mimosa"
    assert site.dugong.owner_of("mimosa") == "cmartin"
    assert "Status_idle" in site.dugong.message("status host(mimosa)")


def test_again_over_ipv6_is_unchanged_and_gives_the_same_key(site):
    first = site.ask("linux:cmartin")
    before = site.picture()

    again = site.ask("linux:CMARTIN", server="fd77::1")

    assert again.stdout.splitlines()[0] == "success"
    assert "status: unchanged" in again.stdout
    assert re.findall("^key: .*", again.stdout, re.M) == re.findall("^key: .*", first.stdout, re.M)
    assert site.picture() == before


def test_another_person_is_refused_and_only_the_log_knows_the_owner(site):
    site.ask("linux:cmartin")
    before = site.picture()

    refusal = site.ask("linux:adupont")

    assert outcome(refusal) == ("other-owner", 77)
    assert "refusing to re-register client host with username : dormeur adupont" in refusal.stdout
    assert "cmartin" not in refusal.stdout
    assert site.picture() == before
    line = site.dugong.syslog()[-1]
    assert " code=other-owner host=dormeur user=adupont os=linux status=- register_key=lab ms=" in line
    assert "cmartin" in line


def test_the_persons_page_opens_after_a_registration_corrects_the_letter_case_of_the_line(site):
    murene = site.laptop("murene.univ-brest.fr", "10.77.0.71")
    site.dugong.run("echo 'murene 0 CMARTIN adupont # room 12' >> /etc/backuppc/hosts", check=True)
    assert "BackupPC: Error" in site.dugong.cgi("host=murene", "cmartin")

    assert site.ask("linux:CMartin", murene).status == 0

    page = site.dugong.cgi("host=murene", "cmartin")
    assert "murene" in page
    assert "BackupPC: Error" not in page
    assert "murene 0 cmartin adupont # room 12\n" in site.dugong.read("/etc/backuppc/hosts")
    assert "the line said CMARTIN, and says cmartin now" in site.dugong.syslog()[-1]


def test_a_machine_with_a_line_under_another_name_is_its_owners_and_no_one_elses(site):
    rascasse = site.laptop("rascasse.univ-brest.fr", "10.77.0.72")
    site.dugong.run("echo 'armoire7 0 adupont' >> /etc/backuppc/hosts", check=True)
    config = '$Conf{ClientNameAlias} = "10.77.0.72"; 1;\n'
    site.dugong.write("/etc/backuppc/armoire7.pl", config, owner="backuppc")
    before = site.picture()

    assert outcome(site.ask("linux:cmartin", rascasse)) == ("other-owner", 77)
    assert "this machine is armoire7 too, and the hosts file says adupont" in site.dugong.syslog()[-1]
    assert site.picture() == before
    assert "host: armoire7" in site.ask("linux:adupont", rascasse).stdout
    assert "status: unchanged" in site.ask("linux:adupont", rascasse).stdout
    assert site.dugong.read("/etc/backuppc/armoire7.pl") == config


def test_an_entry_with_two_logons_in_capitals_is_one_person_and_sees_the_page(site):
    turbot = site.laptop("turbot.univ-brest.fr", "10.77.0.73")
    site.dugong.slapd.add(slapd.person(["Jdurand", "jeanne.durand"], "Jeanne Durand"))

    first, again = (site.ask(f"linux:{logon}", turbot) for logon in ("jdurand", "Jeanne.Durand"))

    assert ("status: new" in first.stdout, "status: unchanged" in again.stdout) == (True, True)
    assert site.dugong.owner_of("turbot") == "Jdurand"
    assert "BackupPC: Error" not in site.dugong.cgi("host=turbot", "Jdurand")
    for logon in ("JDURAND", "jeanne.durand"):
        assert "turbot" in site.dugong.run(f"{ADMIN} list --person {logon}").stdout


COMMANDS = [
    ("", "no-command", 64),
    ("mac", "ostype-unknown", 64),
    ("MAC:cmartin", "ostype-unknown", 64),
    ("beos:cmartin", "ostype-unknown", 64),
    ("mac:cmartin:x", "ostype-unknown", 64),
    ("delete:mac:cmartin", "ostype-unknown", 64),
    ("check:check:mac:cmartin", "ostype-unknown", 64),
    ("mac:cmartin\nmac:adupont", "ostype-unknown", 64),
    ("/bin/sh -i", "ostype-unknown", 64),
    ("scp -t /etc/backuppc/hosts", "ostype-unknown", 64),
    ("rsync --server . /", "ostype-unknown", 64),
    ("internal-sftp", "ostype-unknown", 64),
    ("mac:" + "a" * 65536, "ostype-unknown", 64),
    ("\x01\x02\x7f:\x1b[2J", "ostype-unknown", 64),
    ("mac:*", "bad-user", 67),
    ("mac:cmartin)(uid=*", "bad-user", 67),
    ("mac:cmartin\\2a", "bad-user", 67),
    ("mac:c*", "bad-user", 67),
    ("mac:cmartin ", "bad-user", 67),
    ("mac:$(id)", "bad-user", 67),
    ("mac:`id`", "bad-user", 67),
    ("mac:cmartin;id", "bad-user", 67),
    ("mac:../../etc/passwd", "bad-user", 67),
    ("mac:-cmartin", "bad-user", 67),
    ("mac:cmartin\nadupont", "bad-user", 67),
    ("mac:cmartin\tx", "bad-user", 67),
    ("mac:\u212amartin", "bad-user", 67),
    ("mac:", "bad-user", 67),
    ("mac:backuppc", "bad-user", 67),
    ("mac:BackupPC", "bad-user", 67),
    ("mac:nobody-here", "bad-user", 67),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("command", "code", "status"), COMMANDS)
def test_what_the_register_key_can_say_changes_nothing(site, command, code, status):
    assert outcome(site.ask(command)) == (code, status)


def test_without_a_terminal_forwarding_or_shell_there_is_nothing_else_the_key_is_good_for(site):
    backwards = ["-o", "ExitOnForwardFailure=yes", "-R", "4444:localhost:22"]
    for wish in (backwards, ["-W", "127.0.0.1:389"], ["-tt"]):
        assert site.dormeur.run([*SSH.split(), *wish, "10.77.0.1"], timeout=20).status == 255


POINTERS = [
    ("a\\032b.univ-brest.fr",),
    ("a\\010b.univ-brest.fr",),
    ("\\.\\.\\047.univ-brest.fr",),
    ("\\036\\040id\\041.univ-brest.fr",),
    ("-x.univ-brest.fr",),
    ("x-.univ-brest.fr",),
    ("under_score.univ-brest.fr",),
    ("evil-univ-brest.fr",),
    ("dormeur.evil-univ-brest.fr",),
    ("dormeur.univ-brest.fr.example.net",),
    ("univ-brest.fr",),
    ("config.univ-brest.fr",),
    ("localconfig.univ-brest.fr",),
    ("localhost.univ-brest.fr",),
    ("LOCALHOST.univ-brest.fr",),
    ("2130706433.univ-brest.fr",),
    ("0x7f000001.univ-brest.fr",),
    ("\\233t\\233.univ-brest.fr",),
    ("sirene.univ-brest.fr",),
    ("un.univ-brest.fr", "deux.univ-brest.fr"),
    (),
]


@pytest.mark.parametrize("names", POINTERS)
def test_whatever_a_ptr_says_only_a_confirmed_name_of_ours_registers(site, names):
    names_of_the_lab = site.dugong.nsd
    intrus = intruder(site)
    site.lab.names.point("10.77.9.66", *names)
    for name in names:
        if "sirene" not in name:  # the one that is not confirmed: it is another machine's
            site.lab.names.add(name, "A", "10.77.9.66")
    assert names_of_the_lab.running
    before = site.picture()

    answer = site.ask("linux:cmartin", intrus)

    assert outcome(answer) == ("dns-name", 77)
    assert site.picture() == before


def intruder(site):
    for host in site.lab.hosts:
        if host.name == "intrus":
            return host
    return site.laptop("intrus.example.net", "10.77.9.66")


def test_two_domains_and_one_short_name_do_not_share_backups(site):
    site.ask("linux:cmartin")
    site.dugong.configure('domains = ["univ-brest.fr"]', 'domains = ["univ-brest.fr", "example.net"]')
    other = site.laptop("dormeur.example.net", "10.77.0.19")

    refusal = site.ask("linux:cmartin", other)

    site.dugong.configure('domains = ["univ-brest.fr", "example.net"]', 'domains = ["univ-brest.fr"]')
    assert outcome(refusal) == ("other-owner", 77)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("service", "code"), [("slapd", "directory-unavailable"), ("nsd", "dns-unavailable")]
)
def test_a_service_that_is_down_is_a_fault_and_never_a_no(site, service, code):
    getattr(site.dugong, service).stop()
    try:
        answer = site.ask("linux:cmartin")
    finally:
        getattr(site.dugong, service).start()

    assert outcome(answer) == (code, 75)
    assert f" code={code} " in site.dugong.syslog()[-1]


def test_where_backuppc_is_not_running_the_registration_stands_and_the_log_says_so(site):
    calmar = site.laptop("calmar.univ-brest.fr", "10.77.0.14")
    site.dugong.daemon.stop()
    try:
        answer = site.ask("linux:cmartin", calmar)
    finally:
        site.dugong.daemon.start()

    assert answer.stdout.startswith("success\n")
    assert not site.dugong.syslog()[-1].endswith("detail=-")
    assert "Status_idle" in site.dugong.message("status host(calmar)")


def test_a_full_disk_is_told_and_the_hosts_file_is_what_it_was(site):
    poulpe = site.laptop("poulpe.univ-brest.fr", "10.77.0.15")
    dugong = site.dugong
    before = dugong.hosts()
    dugong.run(
        "cp -a /etc/backuppc /root/kept && mount -t tmpfs -o size=256k,mode=2755 tmpfs /etc/backuppc"
        " && cp -a /root/kept/. /etc/backuppc && { cat /dev/zero >/etc/backuppc/filler || true; } 2>&1",
        check=True,
    )
    try:
        answer = site.ask("linux:cmartin", poulpe)
        assert dugong.hosts() == before
    finally:
        dugong.run("umount /etc/backuppc", check=True)

    code, status = outcome(answer)
    assert code in ("could-not-register", "no-config-file")
    assert status == 73
    assert site.ask("linux:cmartin", poulpe).stdout.startswith("success\n")


def test_machines_that_register_at_the_same_time_get_a_line_each(site):
    fleet = site.laptop("flotte.univ-brest.fr", "10.77.0.40")
    numbers = range(1, 28)
    for number in numbers:
        site.lab.names.publish(f"poste{number}.univ-brest.fr", f"10.77.4.{number}")
        fleet.run(["ip", "address", "add", f"10.77.4.{number}/16", "dev", "eth0"], check=True)

    # Nine at a time: sshd itself drops connections beyond its MaxStartups, ten by default.
    for first in numbers[::9]:
        running = [
            fleet.start([*SSH.split(), "-b", f"10.77.4.{number}", "10.77.0.1", "linux:cmartin"])
            for number in range(first, first + 9)
        ]
        assert [process.wait(60).stdout.split("\n")[0] for process in running] == ["success"] * 9

    hosts = site.dugong.hosts()
    for number in numbers:
        assert len(re.findall(rf"^poste{number}\t0\tcmartin$", hosts, re.M)) == 1
        assert "Status_idle" in site.dugong.message(f"status host(poste{number})")


def test_every_request_left_exactly_one_line(site):
    before = len(site.dugong.syslog())

    for command in ("", "mac:*", "linux:cmartin", "check:linux:cmartin", "linux:adupont"):
        site.ask(command)

    lines = site.dugong.syslog()[before:]
    codes = [re.search(r" code=(\S+) ", line).group(1) for line in lines]
    assert codes == ["no-command", "bad-user", "-", "-", "other-owner"]


def test_a_quota_of_the_site_is_told_alike_to_the_client_and_in_the_log(site):
    site.dugong.configure("[state]", "[limits]\nhosts_per_person = 1\n[state]")
    glouton = site.laptop("glouton.univ-brest.fr", "10.77.0.17")

    answer = site.ask("linux:adupont", glouton)

    site.dugong.configure("[limits]\nhosts_per_person = 1\n[state]", "[state]")
    assert outcome(answer) == ("not-allowed", 77)
    told = answer.stdout.split("\n")[0].partition(" 22 ")[2]
    assert told == "refused by this site : 1 machines at the most for a person"
    assert f" 22 {told} request=" in site.dugong.syslog()[-1]
    assert "glouton" not in site.dugong.hosts()


def test_more_requests_than_a_minute_takes_are_refused_until_it_is_over(site):
    site.dugong.configure("[state]", "[limits]\nper_address = 3\n[state]")
    bavard = site.laptop("bavard.univ-brest.fr", "10.77.0.16")

    answers = [site.ask("check:linux:cmartin", bavard) for _ in range(4)]

    site.dugong.configure("[limits]\nper_address = 3\n[state]", "[state]")
    assert [answer.status for answer in answers] == [0, 0, 0, 75]
    assert outcome(answers[-1]) == ("too-many-requests", 75)
