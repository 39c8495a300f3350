"""No success that is not true: verify says `verified` if and only if the first full backup then works."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
from lab import Lab
from lab.backuppc import TOP_DIR
from lab.parts import LabError
from laptops_to_verify import STATE, Site, changed, outcome, words
from slowness import within

pytestmark = [pytest.mark.lab, pytest.mark.long]

PL = "/etc/backuppc/pollux.pl"


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        yield Site(lab)


@pytest.fixture(scope="module")
def pollux(site):
    """A laptop whose backups work."""
    laptop = site.laptop("pollux", 21)
    laptop.write_all("/home/cmartin", {"mes papiers/un": "1", "été/deux": "2"}, owner="cmartin")
    laptop.run("install -d /home/cmartin/vide", check=True)
    assert outcome(site.verify(laptop)) == "verified"
    site.await_first_backup("pollux")
    return laptop


@contextmanager
def written_by_hand(dugong, perl):
    """Let somebody have written *perl* at the end of pollux's settings."""
    with changed(dugong, f"cp -p {PL} /root/kept", f"cp -p /root/kept {PL}"):
        dugong.run(f"cat >> {PL}", input=f"\n{perl}\n", check=True)
        yield


def first_backup_works(dugong):
    """Let BackupPC make a first full backup; tell whether it has files and no errors."""
    dugong.run(f"rm -rf {TOP_DIR}/pc/pollux/*", check=True)
    try:
        backup = dugong.full_backup("pollux")
    except LabError as error:
        print(error)
        return False
    print(backup, dugong.transfer_log("pollux"))
    return (backup.kind, backup.errors, backup.files > 0) == ("full", 0, True)


SSH = f"'-e', '$sshPath -F {STATE}/pollux/ssh_config"
PAPERS = "$Conf{RsyncShareName} = ['/home/cmartin/mes papiers'];"
EMPTY_ONE = "$Conf{RsyncShareName} = ['/home', '/home/cmartin/vide'];"
LESS = "$Conf{RsyncArgs} = [grep({ $_ ne '%s' } @{$Conf{RsyncArgs}})];"
SET = [
    ("", "verified"),
    # rsync's options
    ("$Conf{RsyncArgsExtra} = ['--copy-unsafe-links'];", "elsewhere"),
    ("$Conf{RsyncFullArgsExtra} = '--copy-unsafe-links';", "elsewhere"),
    ("$Conf{RsyncIncrArgsExtra} = ['--copy-unsafe-links'];", "verified"),
    ("$Conf{RsyncArgsExtra} = ['--no-such-option'];", "elsewhere"),
    ("$Conf{RsyncArgsExtra} = ['--bwlimit=50000', '--acls', '--xattrs', '--one-file-system'];", "verified"),
    ("$Conf{RsyncArgsExtra} = ['--exclude-from=/etc/nothing'];", "elsewhere"),
    ("$Conf{RsyncArgsExtra} = ['--dry-run'];", "elsewhere"),
    ("$Conf{RsyncArgsExtra} = ['--list-only'];", "elsewhere"),
    (LESS % "--recursive", "elsewhere"),
    (LESS % "--protect-args", "verified"),
    ("$Conf{ClientCharset} = 'iso-8859-1';", "verified"),
    ("$Conf{ClientCharset} = 'no-such-charset';", "elsewhere"),
    ("$Conf{RsyncClientPath} = 'sudo -n /usr/bin/rsync';", "verified"),
    # folders
    (PAPERS, "verified"),
    (PAPERS + LESS % "--protect-args", "elsewhere"),
    ("use utf8; $Conf{RsyncShareName} = ['/home/cmartin/été/'];", "verified"),
    ("$Conf{RsyncShareName} = ['/home/cmartin/été'];", "folder"),
    ("$Conf{RsyncShareName} = ['/home', '/home', '', '/home/cmartin/nothing'];", "folder"),
    ("$Conf{RsyncShareName} = ['/home', '/srv'];", "share"),
    ("$Conf{RsyncShareName} = [''];", "elsewhere"),
    ("$Conf{RsyncShareName} = 'home';", "share"),
    ("$Conf{RsyncShareName} = 'h'; $Conf{ClientShareName2Path} = {h => '/home'};", "verified"),
    ("$Conf{BackupFilesOnly} = {'/home' => '/cmartin'};", "elsewhere"),
    ("$Conf{BackupFilesOnly} = {'/home' => ['/cmartin/été', '/x y']};", "verified"),
    ("$Conf{BackupFilesOnly} = {'*' => ['/nobody']};", "empty"),
    ("$Conf{BackupFilesExclude} = {'*' => ['*']};", "empty"),
    ("$Conf{BackupFilesExclude} = '/cmartin/[a-zA-Z]*';", "verified"),
    (EMPTY_ONE, "empty"),
    (EMPTY_ONE + "$Conf{BackupZeroFilesIsFatal} = 0;", "verified"),
    # commands of the site's own
    ("$Conf{UserCmdCheckStatus} = 1; $Conf{DumpPreUserCmd} = '/usr/local/bin/nothing $host';", "elsewhere"),
    ("$Conf{UserCmdCheckStatus} = 1; $Conf{DumpPreUserCmd} = ['/bin/true', '$host'];", "verified"),
    ("$Conf{DumpPreUserCmd} = '/usr/local/bin/nothing $host';", "verified"),
    # the way there
    ("$Conf{XferMethod} = 'tar';", "elsewhere"),
    ("$Conf{ClientNameAlias} = ['nobody.univ-brest.fr', 'pollux.univ-brest.fr'];", "verified"),
    ("$Conf{ClientNameAlias} = 'bckpciuem@pollux.univ-brest.fr';", "name"),
    ("$Conf{PingCmd} = '';", "verified"),
    ("$Conf{PingCmd} = '/bin/false';", "misconfigured"),
    (f"$Conf{{RsyncSshArgs}} = [{SSH} -o Compression=yes -v -o ServerAliveInterval=30'];", "verified"),
    (f"$Conf{{RsyncSshArgs}} = [{SSH} -o Ciphers=aes128-cbc'];", "elsewhere"),
    (f"$Conf{{RsyncSshArgs}} = [{SSH} -6'];", "elsewhere"),
    (f"$Conf{{RsyncSshArgs}} = [{SSH} -b 192.0.2.1'];", "elsewhere"),
    (f"$Conf{{RsyncSshArgs}} = [{SSH} -n'];", "elsewhere"),
    (f"$Conf{{RsyncSshArgs}} = [{SSH} -G'];", "elsewhere"),
    (f"$Conf{{RsyncSshArgs}} = [{SSH} pollux.univ-brest.fr'];", "elsewhere"),
]


@pytest.mark.parametrize(("perl", "answer"), SET, ids=[perl or "as we made it" for perl, _ in SET])
def test_settings_of_backuppc(site, pollux, perl, answer):
    with written_by_hand(site.dugong, perl):
        told = outcome(site.verify(pollux)).removeprefix("not-reachable ")
        worked = first_backup_works(site.dugong)

    assert (told, worked) == (answer, answer == "verified")


TALK = "echo Welcome to your laptop"
ON_THE_LAPTOP = [
    (f"echo '{TALK}' > /etc/ssh/sshrc", "rm /etc/ssh/sshrc", "unclean"),
    ("printf 'cat >/dev/null &\\n' > /etc/ssh/sshrc", "rm /etc/ssh/sshrc", "verified"),
    (f"echo '{TALK} >&2' > /etc/ssh/sshrc", "rm /etc/ssh/sshrc", "verified"),
    (
        f"usermod -s /bin/bash bckpciuem; echo '{TALK}' > /var/lib/bckpciuem/.bashrc",
        "usermod -s /bin/sh bckpciuem; rm /var/lib/bckpciuem/.bashrc",
        "unclean",
    ),
]


@pytest.mark.parametrize(("change", "back", "answer"), ON_THE_LAPTOP, ids=[row[0] for row in ON_THE_LAPTOP])
def test_what_the_laptop_does_at_a_login(site, pollux, change, back, answer):
    with changed(pollux, change, back):
        told = outcome(site.verify(pollux)).removeprefix("not-reachable ")
        worked = first_backup_works(site.dugong)

    assert (told, worked) == (answer, answer == "verified")


MOUNT = "mkdir -p /home/{0}; mount {1} /home/{0}"
CLOSED = "--bind /proc/1/map_files"  # what only root with all its rights can look into
ELSEWHERE = "-t ramfs none"  # no disk, as a file server's
BACK = "umount /home/cmartin /home/nfs 2>/dev/null; rmdir /home/nfs 2>/dev/null; :"
AT_THE_TOP = [
    (MOUNT.format("nfs", CLOSED), "verified", "/home/nfs cannot be read."),
    (MOUNT.format("nfs", ELSEWHERE), "verified", "/home/nfs is on another file system."),
    (MOUNT.format("cmartin", ELSEWHERE), "file-system", ""),
    (MOUNT.format("cmartin", CLOSED), "folder", ""),
]


@pytest.mark.parametrize(("change", "answer", "advice"), AT_THE_TOP, ids=[row[0] for row in AT_THE_TOP])
def test_folders_at_the_top_of_a_share_that_will_not_be_saved(site, pollux, change, answer, advice):
    with changed(pollux, change, BACK):
        reply = site.verify(pollux)
        worked = first_backup_works(site.dugong)

    assert (outcome(reply).removeprefix("not-reachable "), worked) == (answer, answer == "verified")
    assert not advice or words(reply)["advice"].endswith(advice)


def test_a_private_home_is_read_like_any_other(site, pollux):
    with changed(pollux, "chmod 0 /home/cmartin /home/cmartin/vide", "chmod 700 /home/cmartin"):
        reply = site.verify(pollux)

    assert outcome(reply) == "verified"
    assert "advice" not in words(reply)


WRAPPER = "/var/lib/bckpciuem/rsyncsend.sh"
HOSTILE = """\
#!/bin/sh
[ "$SSH_ORIGINAL_COMMAND" != probe ] || exec sudo -n /usr/local/libexec/bckpciuem/rsync-helper probe 10.77.0.1
{}
"""
WORD = r"printf '\037\000\000\000'"
CONDUCT = [
    ("yes", "unclean"),
    ("yes >&2", "wrapper"),
    ("cat /dev/zero", "unclean"),
    ("sleep 60", "silent"),
    ("while sleep 1; do printf '\\0'; done", "unclean"),
    ("while sleep 1; do echo x >&2; done", "silent"),
    ("exec >&- 2>&-; sleep 60", "silent"),
    (f"{WORD}; yes", "rsync"),
    (f"{WORD}; sleep 60", "silent"),
    (f"{WORD}; while sleep 1; do printf '\\0'; done", "silent"),
    ("echo bckpciuem: refused >&2; exit 64", "elsewhere"),
]


@pytest.mark.parametrize(("conduct", "answer"), CONDUCT, ids=[row[0] for row in CONDUCT])
def test_a_hostile_laptop_is_answered_in_time(site, pollux, conduct, answer):
    with changed(pollux, f"cp -p {WRAPPER} /root/wrapper", f"cp -p /root/wrapper {WRAPPER}"):
        pollux.write(WRAPPER, HOSTILE.format(conduct), mode=0o755)
        started = time.monotonic()
        reply = site.verify(pollux)

    assert outcome(reply) == f"not-reachable {answer}"
    assert within(time.monotonic() - started, 25)
    left = "ps -eo args | grep -E 'rsync_bp[c]|ssh .*UserKnownHost[s]'; ls -d /tmp/backuppc-register-*"
    assert site.dugong.run(left).stdout == ""
