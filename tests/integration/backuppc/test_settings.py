"""BackupPC's settings for a host, read by BackupPC's real Perl; and what the real ssh makes of them."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from slowness import within

from backuppc_register import config
from backuppc_register.backuppc import settings
from backuppc_register.backuppc.host_config import Values, render
from backuppc_register.backuppc.settings import SettingsReader, route
from backuppc_register.protocol.errors import Misconfigured, NotReachable
from backuppc_register.state import ssh_files

STATE = Path("/var/lib/backuppc-register/hosts/dormeur")


class Site:
    """BackupPC's own configuration as Debian ships it, and a dormeur that registered as a Linux machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "etc").mkdir()
        (folder / "data/pc").mkdir(parents=True)
        shutil.copy("/usr/share/backuppc/conf/config.pl", folder / "etc/config.pl")
        values = Values("dormeur", "dormeur.univ-brest.fr", STATE / "ssh_config")
        self.pl.write_bytes(render("linux", values, folder))
        self.places = config.BackupPC(
            hosts=folder / "etc/hosts", config_dir=folder / "etc", data_dir=folder / "data"
        )
        self.effective = SettingsReader(self.places)

    @property
    def pl(self) -> Path:
        return self.folder / "etc/dormeur.pl"

    def add(self, perl: str, file: str = "dormeur.pl") -> None:
        with (self.folder / "etc" / file).open("a") as end:
            end.write(f"\n{perl}\n")

    def read(self, host: str = "dormeur"):
        return self.effective.read(host, 10)

    def alive(self, host: str = "dormeur", within: float = 10) -> str:
        return self.effective.alive(host, within)

    def refused(self, within: float = 10) -> NotReachable:
        with pytest.raises(NotReachable) as refusal:
            self.alive(within=within)
        return refusal.value


def ends(pid_file: Path) -> bool:
    """Tell whether the process of that file ends at once; nobody may have collected it yet."""
    status = Path(f"/proc/{pid_file.read_text().strip()}/status")
    for _ in range(100):
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


# settings


def test_the_settings_of_many_are_read_at_once_and_one_that_is_broken_spoils_no_other(site):
    broken = {
        "a": "$Conf{",
        "b": "exit(0);",
        "c": "die('no');",
        "d": "$Conf{BackupsDisable} = 1;",
        "e": "sleep(9);",
    }
    for host, perl in broken.items():
        site.add(perl, f"{host}.pl")

    told = site.effective.each([*broken, "dormeur", "sirene"], 20)

    assert list(told) == [*broken, "dormeur", "sirene"]
    assert "syntax error" in told["a"]
    assert told["b"] == "its settings end the program that reads them"
    assert "no at " in told["c"]
    assert told["d"].disabled
    assert told["e"] == "it takes too long"
    assert (told["dormeur"], told["sirene"]) == (site.read(), site.read("sirene"))


def test_of_many_those_are_left_out_for_whom_the_time_did_not_suffice(site):
    for host in ("a", "b"):
        site.add("$SIG{ALRM} = 'IGNORE'; my $end = time() + 9; 1 while time() < $end;", f"{host}.pl")

    assert list(site.effective.each(["dormeur", "a", "b", "sirene"], 2)) == ["dormeur"]


@pytest.mark.parametrize("perl", ["$Conf{", "exit(0);"])
def test_a_mistake_in_the_settings_of_all_is_a_fault_of_all(site, perl):
    site.add(perl, "config.pl")

    with pytest.raises(Misconfigured):
        site.effective.each(["dormeur", "sirene"], 10)


@pytest.mark.parametrize(
    ("perl", "words"),
    [
        ("exit(0);", "config.pl: the settings end the program that reads them"),
        ("kill(9, $$);", "config.pl: the settings end the program that reads them"),
        ("print 'bye'; exit(0);", "the settings end the program that reads them, which says: bye"),
        ("die('no');", "config.pl: Couldn't execute"),
        ("print 'x' x 65536 while 1;", "it prints without end"),
        ("1 while 1;", "it took too long"),
    ],
)
def test_the_settings_of_all_that_cannot_be_read_are_named_in_time_and_in_bounded_memory(site, perl, words):
    site.add(perl, "config.pl")
    started = time.monotonic()

    with pytest.raises(Misconfigured) as fault:
        site.effective.main(4)

    assert words in fault.value.detail
    assert len(fault.value.detail) < 500
    assert within(time.monotonic() - started, 6)


def test_what_we_have_written_is_what_backuppc_reads(site):
    settings = site.read()

    assert (settings.xfer_method, settings.disabled) == ("rsync", False)
    assert settings.clients == ("dormeur.univ-brest.fr",)
    assert settings.ssh_path == "/usr/bin/ssh"
    assert settings.ssh_args == ("-e", f"/usr/bin/ssh -F {STATE}/ssh_config")
    assert settings.shares == ("/home",)
    assert {"--super", "--protect-args", "--checksum"} <= set(settings.rsync_args)


def test_without_a_file_of_its_own_a_host_has_the_settings_of_all(site):
    settings = site.read("sirene")

    assert settings.clients == ("sirene",)
    assert settings.xfer_method == "smb"
    assert settings.ssh_args == ("-e", "/usr/bin/ssh -l root")


def test_the_variables_are_backuppcs_own(site):
    words = "$sshPath ${sshPath} $client $host $hostIP $confDir $nothing $sshPath+"
    site.add(f"$Conf{{ClientNameAlias}} = 'd.fr'; $Conf{{RsyncSshArgs}} = ['-e', '{words}'];")

    command = "/usr/bin/ssh /usr/bin/ssh dormeur d.fr d.fr /etc/backuppc ${nothing} /usr/bin/ssh"
    assert site.read().ssh_args == ("-e", command)


@pytest.mark.parametrize(
    ("perl", "name", "value"),
    [
        ("$Conf{XferMethod} = 'tar';", "xfer_method", "tar"),
        ("$Conf{RsyncSshArgs} = undef;", "ssh_args", None),
        ("$Conf{RsyncSshArgs} = '-e ssh';", "ssh_args", None),
        ("$Conf{RsyncSshArgs} = [];", "ssh_args", ()),
        ("$Conf{BackupsDisable} = 1;", "disabled", True),
        ("$Conf{BackupsDisable} = 2;", "disabled", True),
        ("$Conf{FullPeriod} = -1;", "disabled", True),
        ("$Conf{ClientNameAlias} = '';", "clients", ("dormeur",)),
        ("$Conf{ClientNameAlias} = undef;", "clients", ("dormeur",)),
        ("$Conf{ClientNameAlias} = ['a', 'b'];", "clients", ("a", "b")),
        ("$Conf{RsyncShareName} = '/srv';", "shares", ("/srv",)),
        ("$Conf{RsyncShareName} = ['/a', '/b'];", "shares", ("/a", "/b")),
        ("$Conf{ClientShareName2Path} = {'/home' => '/vol/home'};", "shares", ("/vol/home",)),
        ("$Conf{ClientShareName2Path} = {'*' => '/all'};", "shares", ("/all",)),
        ("use utf8; $Conf{RsyncShareName} = ['/été'];", "shares", ("/été",)),
        ('$Conf{RsyncShareName} = ["/\\x{e9}t\\x{e9}"];', "shares", ("/été",)),  # as its editor writes it
        ("", "zero_files_fatal", True),
        ("$Conf{BackupZeroFilesIsFatal} = 0;", "zero_files_fatal", False),
        ("$Conf{DumpPreUserCmd} = '/nowhere';", "commands", ()),
        ("$Conf{DumpPreUserCmd} = '/nowhere'; CHECK", "commands", ("DumpPreUserCmd",)),
        ("$Conf{DumpPostShareCmd} = ['/bin/true', 'x']; CHECK", "broken", ""),
        ("$Conf{DumpPreShareCmd} = '$sshPath x'; CHECK", "broken", ""),
        ("$Conf{DumpPreUserCmd} = '&{sub {1}}()'; CHECK", "broken", ""),
        ("$Conf{DumpPreShareCmd} = '/bin x'; CHECK", "broken", "DumpPreShareCmd"),
        ("$Conf{DumpPreShareCmd} = '/etc/passwd'; CHECK", "broken", "DumpPreShareCmd"),
        ("$Conf{SshPath} = '/opt/ssh';", "ssh_path", "/opt/ssh"),
        ("print qq({}\\n); print STDERR 'x'; $Conf{XferMethod} = 'ftp';", "xfer_method", "ftp"),
    ],
)
def test_what_people_have_changed_is_what_counts(site, perl, name, value):
    site.add(perl.replace("CHECK", "$Conf{UserCmdCheckStatus} = 1;"))

    assert getattr(site.read(), name) == value


def test_all_arguments_of_rsync_are_told(site):
    for n, name in enumerate(("RsyncArgs", "RsyncFullArgsExtra", "RsyncIncrArgsExtra", "RsyncArgsExtra")):
        site.add(f"$Conf{{{name}}} = ['--x{n}'];")

    assert site.read().rsync_args == ("--rsync-path=rsync", "--x0", "--x1", "--x2", "--x3")


def test_the_old_place_of_a_hosts_file_wins_as_with_backuppc(site):
    (site.folder / "data/pc/dormeur").mkdir()
    (site.folder / "data/pc/dormeur/config.pl").write_text("$Conf{XferMethod} = 'tar';\n")

    assert site.read().xfer_method == "tar"


@pytest.mark.parametrize("perl", ["$Conf{", "die('x');", "$Conf{Language} = 'xx';"])
def test_settings_that_backuppc_cannot_read_are_a_failed_step(site, perl):
    site.add(perl)

    with pytest.raises(NotReachable) as refusal:
        site.read()
    assert refusal.value.values["step"] == "settings"
    assert refusal.value.detail


@pytest.mark.parametrize("perl", ["exit(0);", "kill(9, $$);", "exec('true');"])
def test_settings_that_end_the_program_are_a_doubt(site, perl):
    site.add(perl)

    with pytest.raises(Misconfigured):
        site.read()


def test_settings_that_never_end_are_left_in_time_with_all_that_they_started(site):
    pid = site.folder / "pid"
    site.add(f"system('echo $$ > {pid}; exec sleep 60');")
    started = time.monotonic()

    with pytest.raises(NotReachable) as refusal:
        site.effective.read("dormeur", 1)

    assert refusal.value.values["step"] == "settings"
    assert within(time.monotonic() - started, 3)
    assert ends(pid)


def test_a_config_that_is_not_written_yet_stands_in_for_the_hosts_own(site):
    site.add("die('x');")
    proposed = b"$Conf{XferMethod} = 'rsync'; $Conf{ClientNameAlias} = '127.0.0.1'; $Conf{PingCmd} = '';\n"

    assert site.effective.read("dormeur", 10, proposed).clients == ("127.0.0.1",)
    assert site.effective.alive("dormeur", 10, proposed) == "127.0.0.1"
    assert site.effective.read("dormeur", 10, b"").xfer_method == "smb"
    assert {path.name for path in (site.folder / "etc").iterdir()} == {"config.pl", "dormeur.pl"}


def test_where_backuppc_is_not_there_it_is_misconfigured(site):
    elsewhere = replace(site.places, install_dir=str(site.folder / "nowhere"))

    with pytest.raises(Misconfigured, match=r"install_dir: there is no .*/nowhere/lib/BackupPC/Lib.pm"):
        SettingsReader(elsewhere).read("dormeur", 10)


def test_the_settings_see_nothing_of_our_environment(site, monkeypatch):
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "tar")
    monkeypatch.setenv("PERL5OPT", "-MNoSuchModule")
    site.add("$Conf{XferMethod} = $ENV{SSH_ORIGINAL_COMMAND} || 'none';")

    assert site.read().xfer_method == "none"


# how a first full backup would begin

LETTERS = b"-slHogDtprcxe.iLsfxC"


def begun(site, perl=""):
    site.add(perl)
    return site.effective.plan("dormeur", "d.fr", 10)


def test_rsync_itself_says_how_it_would_begin(site):
    plan = begun(site)

    (transfer,) = plan.transfers
    assert plan.ssh_args == ("-e", f"/usr/bin/ssh -F {STATE}/ssh_config")
    assert transfer.path == "/home"
    assert transfer.words == (b"d.fr", b"rsync", b"--server", b"--sender", LETTERS)
    told = b"rsync\0--timeout=14400\0--numeric-ids\0.\0/home/\0\0"
    assert transfer.handshake == told + b"\x1f\0\0\0"
    assert (transfer.stays, transfer.goes_deep, transfer.idle) == (True, True, False)


def test_the_variables_are_those_of_the_name_that_is_gone_to(site):
    plan = begun(site, "$Conf{RsyncSshArgs} = ['-e', '$sshPath $client $host $hostIP'];")

    assert plan.ssh_args == ("-e", "/usr/bin/ssh dormeur d.fr d.fr")


def test_without_protect_args_all_stands_in_the_command(site):
    (transfer,) = begun(site, "$Conf{RsyncArgs} = ['-r', '--bwlimit=5']; $Conf{ClientTimeout} = 0;").transfers

    assert transfer.words[1:] == (
        *(b"rsync", b"--server", b"--sender", b"-rce.iLsfxC"),
        *(b"--bwlimit=5", b".", b"/home/"),
    )
    assert transfer.handshake == b"\x1f\0\0\0"


@pytest.mark.parametrize(
    ("perl", "path", "bytes_of_it"),
    [
        ("$Conf{RsyncShareName} = ['/a b/'];", "/a b/", b"/a b/"),
        ("use utf8; $Conf{RsyncShareName} = ['/été'];", "/été", "/été/".encode()),
        ("$Conf{RsyncShareName} = ['/é'];", "/Ã©", "/Ã©/".encode()),
        ("$Conf{RsyncShareName} = ['x']; $Conf{ClientShareName2Path} = {x => '/y'};", "/y", b"/y/"),
        ("$Conf{RsyncShareName} = ['/q\\'\"$x'];", "/q'\"$x", b"/q'\"$x/"),
    ],
)
def test_the_path_is_what_rsync_sends(site, perl, path, bytes_of_it):
    (transfer,) = begun(site, perl).transfers

    assert transfer.path == path
    assert transfer.handshake.endswith(b"\0.\0" + bytes_of_it + b"\0\0\x1f\0\0\0")


def test_each_folder_is_begun_once_and_none_without_a_name(site):
    transfers = begun(site, "$Conf{RsyncShareName} = ['/a', '', '/b', '/a'];").transfers

    assert [transfer.path for transfer in transfers] == ["/a", "/b"]
    assert begun(site, "$Conf{RsyncShareName} = '';").transfers == ()


@pytest.mark.parametrize(
    ("perl", "name", "value"),
    [
        ("$Conf{RsyncArgsExtra} = ['--dry-run'];", "idle", True),
        ("$Conf{RsyncArgsExtra} = ['-n'];", "idle", True),
        ("$Conf{RsyncArgsExtra} = ['--list-only'];", "idle", True),
        ("$Conf{RsyncArgs} = ['-d'];", "goes_deep", False),
        ("$Conf{RsyncArgs} = [];", "goes_deep", False),
        ("$Conf{RsyncArgs} = ['-r', '--protect-args'];", "stays", False),
        ("$Conf{RsyncArgs} = ['-rxx'];", "stays", True),
    ],
)
def test_what_rsync_would_do_there_shows_in_its_letters(site, perl, name, value):
    (transfer,) = begun(site, perl).transfers

    assert getattr(transfer, name) is value


@pytest.mark.parametrize(
    "perl",
    [
        "$Conf{RsyncArgsExtra} = ['--no-such-option'];",
        "$Conf{RsyncArgsExtra} = ['--exclude-from=/nowhere'];",
        "$Conf{BackupFilesOnly} = {'/home' => '/x'};",
        "$Conf{ClientCharset} = 'no-such-charset'; $Conf{BackupFilesExclude} = ['/x'];",
        "$Conf{RsyncBackupPCPath} = '/nowhere';",
        "$Conf{RsyncBackupPCPath} = '/bin/true';",
        "$Conf{RsyncArgs} = undef; $Conf{RsyncArgsExtra} = ['--daemon', '--config=/nowhere'];",
    ],
)
def test_where_rsync_does_not_begin_it_is_a_failed_step(site, perl):
    with pytest.raises(NotReachable) as refusal:
        begun(site, perl)

    assert refusal.value.values["step"] == "elsewhere"
    assert refusal.value.detail


def test_a_rsync_that_never_begins_is_left_in_time_with_all_that_it_started(site):
    slow = site.folder / "rsync"
    slow.write_text(f"#!/bin/sh\necho $$ > {site.folder}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    site.add(f"$Conf{{RsyncBackupPCPath}} = '{slow}';")
    started = time.monotonic()

    with pytest.raises(NotReachable):
        site.effective.plan("dormeur", "d.fr", 1.5)

    assert within(time.monotonic() - started, 4)
    assert ends(site.folder / "pid")


def test_nothing_stays_and_nothing_is_written_where_backups_are(site):
    begun(site)

    assert [path.name for path in (site.folder / "data").rglob("*")] == ["pc"]


# which address


def pings(site, script: str, most: int = 500) -> None:
    """Let a program of the test be BackupPC's ping; it gets the host's name."""
    ping = site.folder / "ping"
    ping.write_text(f"#!/bin/sh\n{script}\n")
    ping.chmod(0o755)
    site.add(f"$Conf{{PingCmd}} = '{ping} $host'; $Conf{{PingMaxMsec}} = {most};")
    site.add("$Conf{ClientNameAlias} = 'localhost';")


ANSWER = "echo '64 bytes from localhost: icmp_seq=1 ttl=64 time=0.040 ms'"


def test_it_goes_to_the_alias_when_that_answers_the_ping(site):
    pings(site, ANSWER)

    assert site.alive() == "localhost"


def test_the_real_ping_reaches_this_very_machine(site):
    site.add("$Conf{ClientNameAlias} = '127.0.0.1';")

    assert site.alive() == "127.0.0.1"


def test_without_a_ping_command_nobody_is_pinged(site):
    site.add("$Conf{PingCmd} = ''; $Conf{ClientNameAlias} = '127.0.0.1';")

    assert site.alive() == "127.0.0.1"


HERE = '[ "$1" = localhost ] ||'  # for every other address, which is this server's own


def test_a_ping_without_an_answer_is_a_failed_step_with_what_ping_said(site):
    pings(site, f"{HERE} exit 0; echo 'From 10.0.0.1 icmp_seq=1'; echo ' Host Unreachable' >&2; exit 1")

    refusal = site.refused()
    assert (refusal.values["step"], refusal.values["reason"]) == ("ping", "localhost does not answer a ping")
    assert refusal.detail == "From 10.0.0.1 icmp_seq=1 Host Unreachable"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 1", "/ping ended with status 1"),
        ("kill -9 $$", "/ping ended with signal 9"),
        ("echo 'ping: socket: Operation not permitted' >&2; exit 2", "itself: ping: socket: Operation not"),
        (
            f"{HERE} exit 0; echo 'ping: sendmsg: Operation not permitted'; exit 1",
            "does not leave this server",
        ),
        (
            f"{HERE} exit 0; echo 'ping: connect: Network is unreachable'; exit 2",
            "does not leave this server",
        ),
    ],
)
def test_a_server_that_cannot_ping_itself_is_to_blame_and_not_the_laptop(site, script, words):
    pings(site, script)

    with pytest.raises(Misconfigured) as fault:
        site.alive()
    assert words in fault.value.detail


@pytest.mark.parametrize(
    ("perl", "words"),
    [
        ("$Conf{PingPath} = '/nowhere/ping';", "there is no /nowhere/ping"),
        ("$Conf{PingPath} = '/etc/passwd';", "/etc/passwd cannot be started: it is not executable"),
        ("$Conf{PingPath} = '/etc';", "/etc cannot be started: it is a folder"),
        ("$Conf{PingCmd} = 'no-such-ping -c 1 $host';", "no-such-ping ended with status 1"),
        ("$Conf{PingCmd} = '$pingPath --no-such-option $host';", "/bin/ping: invalid option"),
        ("$Conf{PingCmd} = ['/bin/false', '$host'];", "/bin/false ended with status 1"),
    ],
)
def test_a_ping_that_cannot_be_started_is_the_servers_fault(site, perl, words):
    site.add(f"$Conf{{ClientNameAlias}} = '127.0.0.9'; {perl}")

    with pytest.raises(Misconfigured) as fault:
        site.alive()
    assert words in fault.value.detail


def test_ping_by_perl_code_is_the_servers_fault_likewise(site):
    site.add("$Conf{PingCmd} = '&{sub { $? = 256; \"no way\" }}()'; $Conf{ClientNameAlias} = '127.0.0.9';")

    with pytest.raises(Misconfigured, match="no way"):
        site.alive()


def test_what_ping_says_is_cut(site):
    pings(site, "head -c 100000 /dev/zero | tr '\\0' x; echo the end; exit 1")

    with pytest.raises(Misconfigured) as fault:
        site.alive()
    assert len(fault.value.detail) < 400
    assert fault.value.detail.endswith("the end")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_real_ping_of_this_server_itself(site, address):
    assert site.effective.own_ping(address, 5) == ""
    assert site.effective.own_ping(address, 5, "dormeur") == ""


def test_the_ping_of_one_host_is_not_that_of_all(site):
    site.add("$Conf{PingPath} = '/nowhere/ping';")

    assert site.effective.own_ping("127.0.0.1", 5) == ""
    assert site.effective.own_ping("127.0.0.1", 5, "dormeur") == "there is no /nowhere/ping"


def test_a_ping_that_takes_longer_than_backuppc_waits_is_a_failed_step(site):
    pings(site, "echo 'rtt min/avg/max/mdev = 20.1/21.5/22.0/0.1 ms'", most=20)

    assert site.refused().values["step"] == "slow"
    assert "21.5" in site.refused().detail


def test_a_ping_that_never_ends_is_ended_in_time(site, monkeypatch):
    monkeypatch.setattr(settings, "FOR_OWN_PING", 2.0)
    pings(site, f"echo $$ > {site.folder}/pid; exec sleep 60")
    started = time.monotonic()

    refusal = site.refused(within=1.5)

    assert refusal.values["step"] == "silent"  # the ping of this server itself does not end either
    assert within(time.monotonic() - started, 6)
    assert ends(site.folder / "pid")


def test_a_laptop_that_drops_pings_is_told_from_a_server_that_cannot_ping(site):
    pings(site, f"{HERE} exit 0; exec sleep 60")

    refusal = site.refused(within=1.5)

    assert refusal.values["step"] == "ping"
    assert refusal.detail == "the ping did not end in time"


def test_the_first_of_several_aliases_that_answers_is_taken(site):
    pings(site, f'[ "$1" != 127.0.0.1 ] || exit 1; {ANSWER}')
    site.add("$Conf{ClientNameAlias} = ['no-such-name.invalid', '127.0.0.1', 'localhost'];")

    assert site.alive() == "localhost"


def test_a_name_without_an_address_is_a_failed_step(site):
    pings(site, ANSWER)
    site.add("$Conf{ClientNameAlias} = 'no-such-name.invalid';")

    refusal = site.refused()
    assert refusal.values["step"] == "name"
    assert refusal.values["reason"].endswith("no-such-name.invalid")


def test_settings_that_cannot_be_read_have_no_address_either(site):
    site.add("die('x');")

    assert site.refused().values["step"] == "settings"


# where ssh goes


def test_ssh_itself_says_where_our_ssh_config_leads(tmp_path):
    path = tmp_path / "ssh_config"
    path.write_bytes(ssh_files.ssh_config(STATE, "dormeur", strict=True))

    way = route("/usr/bin/ssh", ("-F", str(path)), "dormeur.univ-brest.fr", 5)

    assert (way.host, way.port, way.user) == ("dormeur.univ-brest.fr", 22, "bckpciuem")
    assert way.options["identityfile"] == (f"{STATE}/key",)
    assert way.options["userknownhostsfile"] == (f"{STATE}/known_hosts",)
    assert way.options["stricthostkeychecking"] == ("true",)


def test_what_stands_behind_it_and_before_it_counts_as_with_ssh(tmp_path):
    (tmp_path / "c").write_text("Host d*\nHostName 10.0.0.9\nIdentityFile /a\nIdentityFile /b\nPort 1\n")

    way = route("/usr/bin/ssh", ("-p", "2222", "-l", "root", "-F", str(tmp_path / "c")), "dormeur", 5)

    assert (way.host, way.port, way.user) == ("10.0.0.9", 2222, "root")
    assert way.options["identityfile"] == ("/a", "/b")


@pytest.mark.parametrize("arguments", [("-F", "/nowhere"), ("-o", "Colour=blue"), ("-Q", "key"), ("-V",)])
def test_what_ssh_does_not_understand_is_no_route(arguments):
    with pytest.raises(ValueError, match="ssh does not report"):
        route("/usr/bin/ssh", arguments, "dormeur", 5)


def test_an_ssh_that_never_answers_is_left_in_time(tmp_path):
    slow = tmp_path / "ssh"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    started = time.monotonic()

    with pytest.raises(ValueError, match="ssh does not report"):
        route(os.fspath(slow), (), "dormeur", 0.5)
    assert within(time.monotonic() - started, 2)


def test_an_ssh_that_is_not_there_is_misconfigured():
    with pytest.raises(Misconfigured):
        route("/nowhere/ssh", (), "dormeur", 5)


PINGS = {
    "no path": ('$Conf{PingPath} = "";', "PingCmd and PingPath name no program"),
    "a blank command": ('$Conf{PingCmd} = "  ";', "PingCmd and PingPath name no program"),
    "a folder": ('$Conf{PingPath} = "/bin";', "/bin cannot be started: it is a folder"),
    "below a file": (
        '$Conf{PingPath} = "/etc/passwd/ping";', "/etc/passwd/ping cannot be started: Not a directory"
    ),
    "a link to itself": (
        'symlink("loop", "@ETC@/loop"); $Conf{PingPath} = "@ETC@/loop";',
        "Too many levels of symbolic links",
    ),
    "a dangling link": (
        'symlink("/nowhere", "@ETC@/dangling"); $Conf{PingPath} = "@ETC@/dangling";', "there is no "
    ),
}  # fmt: skip


@pytest.mark.parametrize(("perl", "words"), PINGS.values(), ids=PINGS)
def test_why_a_ping_cannot_be_started_is_told_and_no_laptop_is_blamed(site, perl, words):
    site.add(perl.replace("@ETC@", str(site.folder / "etc")))

    assert words in site.effective.own_ping("127.0.0.1", 10, "dormeur")
