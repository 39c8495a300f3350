"""The wrapper on a laptop of the lab, with real privileges."""

import shlex

import pytest
from lab import Laptop, Result
from laptops import OK, PLACE, Site, contents, set_up

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def registered(site: Site) -> Laptop:
    """A laptop with a folder for restored files that is a person's own, beside the usual one."""
    laptop = site.laptop()
    laptop.run("install -d -o cmartin -g cmartin /home/cmartin/restored", check=True)
    done = set_up(laptop, "--logon cmartin --unattended --restore-dir /home/cmartin/restored")
    assert done.status == OK
    config = laptop.read("/etc/bckpciuem.conf") + f"restore-dir={PLACE}-restore\n"
    laptop.write("/etc/bckpciuem.conf", config)
    laptop.run(f"install -d -m 770 -g bckpciuem {PLACE}-restore", check=True)
    return laptop


def rsync(site: Site, laptop: Laptop, words: str) -> Result:
    """Run rsync on the server, as BackupPC's account and with this laptop's key; @ is the laptop."""
    words = words.replace("@", f"{laptop.fqdn}:")
    return site.dugong.run(f"cd /tmp && rsync -s -e {shlex.quote(site.ssh(laptop))} {words}", user="backuppc")


def ask(site: Site, laptop: Laptop, command: str) -> Result:
    ssh = [*site.ssh(laptop).split(), laptop.fqdn, *([command] if command else [])]
    return site.dugong.run(ssh, user="backuppc")


def test_probe_goes_the_whole_way(site: Site, registered: Laptop) -> None:
    result = ask(site, registered, "probe")

    assert result.status == 0
    assert "share:/home" in result.lines
    assert "user:bckpciuem" in result.lines


def privileges(site: Site, laptop: Laptop, command: str) -> dict[str, str]:
    """What an rsync that is started for *command* may do, as /proc tells while it waits for the server."""
    ssh = site.dugong.start([*site.ssh(laptop).split(), laptop.fqdn, command], user="backuppc")
    running = "pgrep -f '^/usr/bin/rsync --server'"  # not the one that tells its version
    laptop.wait_for(lambda: laptop.run(running).stdout, "rsync")
    shown = laptop.run(f"cat /proc/$({running} -o)/status").stdout
    ssh.kill()
    laptop.wait_for(lambda: not laptop.run(running).stdout, "the end of rsync")
    return dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)


READ_ANY_FILE = f"{1 << 2:016x}"  # CAP_DAC_READ_SEARCH
NOTHING = f"{0:016x}"


def test_a_backup_runs_with_the_right_to_read_and_no_other(site: Site, registered: Laptop) -> None:
    got = privileges(site, registered, "rsync --server --sender -re.iLsfxC . /home/")

    uid = registered.run("id -u bckpciuem").stdout.strip()
    assert got["Uid"].split() == [uid] * 4
    assert {got[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {READ_ANY_FILE}
    assert got["NoNewPrivs"] == "1"
    assert got["Groups"].strip() == ""


@pytest.mark.parametrize(("target", "owner"), [(f"{PLACE}-restore/", "bckpciuem")])
def test_a_restore_runs_with_no_right_at_all(site: Site, registered: Laptop, target: str, owner: str) -> None:
    got = privileges(site, registered, f"rsync --server -re.iLsfxC . {target}")

    uid = registered.run(["id", "-u", owner]).stdout.strip()
    assert got["Uid"].split() == [uid] * 4
    assert {got[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {NOTHING}
    assert got["NoNewPrivs"] == "1"


def test_files_come_back_into_their_own_folder(site: Site, registered: Laptop) -> None:
    pulled = rsync(site, registered, "-a @/home/cmartin/ pulled/")
    pushed = rsync(site, registered, f"-aR --super --numeric-ids pulled/./Documents @{PLACE}-restore/")

    assert (pulled.status, pushed.status) == (0, 0)
    names = "ls Documents"
    assert (
        registered.run(f"cd {PLACE}-restore && {names}").stdout
        == registered.run(f"cd /home/cmartin && {names}").stdout
    )
    owners = registered.run(f"find {PLACE}-restore -mindepth 1 -printf '%u:%g\\n' | sort -u").lines
    assert owners == ["bckpciuem:bckpciuem"]
    assert registered.run(f"ls {PLACE}-restore", user="cmartin").status != 0


def test_files_come_back_into_a_persons_folder_as_that_persons(site: Site, registered: Laptop) -> None:
    pushed = rsync(site, registered, "-aR --super --numeric-ids /etc/./issue @/home/cmartin/restored/")

    assert pushed.status == 0
    owner = registered.run("stat -c %U:%G /home/cmartin/restored/issue").stdout
    assert owner == "cmartin:cmartin\n"


def test_a_planted_link_leads_nobody_out_of_a_persons_folder(site: Site, registered: Laptop) -> None:
    site.dugong.run("mkdir -p /tmp/a/x /tmp/b/x/link && ln -s /home/cmartin/Documents /tmp/a/x/link && "
                    "echo evil >/tmp/b/x/link/evil", user="backuppc", check=True)  # fmt: skip
    planted = rsync(site, registered, "-rlR a/./x @/home/cmartin/restored/")

    through_list = rsync(site, registered, "-rlR --no-implied-dirs b/./x/link/evil @/home/cmartin/restored/")
    through_path = rsync(site, registered, "-rl b/x/link/evil @/home/cmartin/restored/x/link/")

    assert planted.status == 0
    assert through_list.status != 0
    assert through_path.status != 0
    assert not registered.exists("/home/cmartin/Documents/evil")


ATTACKS = ["", "sh", "id", "scp -t /tmp", "/usr/lib/openssh/sftp-server", "rsync --server --daemon .",
           "rsync --server --sender -re.iLsfxC . /etc/", "rsync --server --sender -re.iLsfxC . /home/../etc/",
           "rsync --server -re.iLsfxC . /home/cmartin/", "rsync --server -re.iLsfxC . /etc/",
           "$(touch /tmp/owned)", "`touch /tmp/owned`", "probe; touch /tmp/owned"]  # fmt: skip


@pytest.mark.parametrize("command", ATTACKS)
def test_the_key_of_the_server_opens_nothing_else(site: Site, registered: Laptop, command: str) -> None:
    before = contents(registered)

    result = ask(site, registered, command)

    assert (result.status, result.stdout) == (64, "")
    assert contents(registered) == before
    assert not registered.exists("/tmp/owned")


@pytest.mark.parametrize(
    "words",
    ["-r evil @/home/cmartin/", "-r evil @/etc/cron.d/", "-r evil @/var/lib/bckpciuem/.ssh/",
     "-r --remove-source-files @/home/cmartin/Documents/ /tmp/taken/", "-r @/etc/ /tmp/taken/",
     "-r @/root/ /tmp/taken/", "-r --delete evil/ @/home/cmartin/restored/",
     "-r --rsync-path='sh -c id; rsync' @/home/ /tmp/taken/", "--daemon -r @/home/ /tmp/taken/"],
)  # fmt: skip
def test_a_real_rsync_gets_no_further(site: Site, registered: Laptop, words: str) -> None:
    site.dugong.run("mkdir -p /tmp/evil && touch /tmp/evil/evil", user="backuppc", check=True)
    before = contents(registered)

    result = rsync(site, registered, words)

    assert result.status != 0
    assert contents(registered) == before


def test_the_account_itself_can_do_no_more_than_the_key(registered: Laptop) -> None:
    attempts = [
        "sudo -n id", "sudo -n rsync --version", "sudo -n /usr/local/libexec/bckpciuem/rsync-helper 'sh'",
        f"echo x >>{PLACE}/.ssh/authorized_keys", f"rm -f {PLACE}/rsyncsend.sh", f"touch {PLACE}/.bashrc",
        "cat /home/cmartin/.netrc", f"cat {PLACE}/receipt",
        "BASH_ENV=/tmp/x sudo -n -E /usr/local/libexec/bckpciuem/rsync-helper probe",
    ]  # fmt: skip
    before = contents(registered)

    assert [command for command in attempts if registered.run(command, user="bckpciuem").status == 0] == []
    assert contents(registered) == before


def test_a_full_restore_puts_a_lost_file_back_in_its_place(site: Site) -> None:
    laptop = site.laptop()
    set_up(laptop, "--logon cmartin --unattended --restore full")
    site.dugong.full_backup(laptop.name)
    lost = "/home/cmartin/Documents/rapport 2024.txt"
    before = contents(laptop, lost)
    laptop.run(["rm", lost], check=True)

    site.dugong.restore(laptop.name, "/home", "/cmartin/Documents/rapport 2024.txt")

    assert contents(laptop, lost) == before


REQUEST = """%RestoreReq = (num => {number}, hostSrc => '{name}', shareSrc => '/home', pathHdrSrc => '/',
    hostDest => '{name}', shareDest => '{place}', pathHdrDest => '/', user => 'cmartin', reqTime => 1,
    fileList => ['/cmartin/Documents', '/cmartin/.netrc']);
"""


def test_backuppc_restores_into_the_folder_for_that(site: Site) -> None:
    """What a person gets who chooses another share in BackupPC's restore page: that of the restored files."""
    laptop, dugong = site.laptop(), site.dugong
    set_up(laptop)
    number = dugong.full_backup(laptop.name).number
    request = REQUEST.format(number=number, name=laptop.name, place=f"{PLACE}-restore")
    dugong.write(f"/var/lib/backuppc/pc/{laptop.name}/restoreReq.0.1", request, owner="backuppc:backuppc")

    dugong.message(f"restore {laptop.name} {laptop.name} cmartin restoreReq.0.1")
    done = f"/var/lib/backuppc/pc/{laptop.name}/restores"
    dugong.wait_for(lambda: dugong.exists(done) and dugong.read(done))

    assert dugong.read(done).split("\t")[3] == "ok"
    restored = laptop.run(f"cd {PLACE}-restore/cmartin && sha256sum Documents/* .netrc").stdout
    assert restored == laptop.run("cd /home/cmartin && sha256sum Documents/* .netrc").stdout


def test_every_run_leaves_one_line_in_the_laptops_log(site: Site, registered: Laptop) -> None:
    registered.run("rm -f /dev/log")
    listener = registered.start(["python3", "-c", LISTENER])
    registered.wait_for(lambda: registered.serves("/dev/log"))
    ask(site, registered, "probe")
    ask(site, registered, "id")
    rsync(site, registered, "-r @/home/cmartin/Documents/ /tmp/pulled2/")
    registered.wait_for(lambda: listener.output().count("bckpciuem: ") >= 3)
    listener.kill()

    lines = [line.split("bckpciuem: ")[1] for line in listener.output().splitlines() if "bckpciuem: " in line]
    assert lines == [
        "probe from=10.77.0.1",
        "refused from=10.77.0.1 not a backup: id",
        "backup from=10.77.0.1 path=/home/cmartin/Documents",
    ]


LISTENER = """
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('/dev/log'); os.chmod('/dev/log', 0o666)
while True: print(s.recv(8192).decode(errors='replace').rstrip(), flush=True)
"""
