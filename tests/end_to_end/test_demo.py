"""`bin/demo` tells its story to the end, with and without a lab."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from checkout import CHECKOUT
from lab import User
from lab.parts import processes_one

DEMO = CHECKOUT / "bin/demo"
# In a PID namespace of their own: --stop would also end the hosts that somebody keeps on this machine.
APART = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
KEEP_ENTER_STOP = """
"$0" --keep >"$1" 2>&1 || { echo "status $?" >>"$1"; exit 1; }
entry=$(sed -n 's/^ *dugong *\\(nsenter .*\\) bash -l$/\\1/p' "$1")
$entry hostname
"$0" --stop
$entry hostname || echo gone
"""


def in_the_foreground():
    """Start the demo in a session of its own, with signals as on a terminal: our parent may ignore Ctrl-C."""
    command: list[str | Path] = ["env", "--default-signal", DEMO]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    story = tmp_path_factory.mktemp("demo") / "story"
    command = [*APART, "sh", "-c", KEEP_ENTER_STOP, str(DEMO), str(story)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    return story.read_text(), done.stdout.splitlines()


@pytest.mark.lab
def test_the_demo_tells_the_whole_story(kept):
    story, _ = kept

    milestones = (
        r"1\. A network of disposable hosts\n   dugong .* BackupPC 4\.4\.0",
        r"2\. The administrator makes the one file that people download\n",
        r"bundle --os linux [^\n]*\n[^\n]*/srv/setup\.sh: for linux",
        r"3\. Christophe Martin sets his laptop up\n",
        r"\| Your logon \[cmartin\]: cmartin\n",
        r"\| +person: Christophe Martin \(cmartin\)\n",
        r"\| Done\. This computer is registered with dugong\.\n",
        r"\| success\n   \| key: ssh-ed25519 \S+ backuppc server to client dormeur ssh key\n",
        r"\| status: unchanged\n",
        r"\| dormeur\s+0\s+cmartin\n",
        r"\| \S+ dugong backuppc-register\[\d+\]: 10\.77\.0\.11 .* success .* user=cmartin .*status=new",
        r"Full backup number 0: [1-9]\d* files, \d+ bytes,\s+0\s+errors\.",
        r"\| /cmartin/Documents/été à la mer\.txt\n",
        r"Incremental backup number 1\..*\| Le rapport annuel\.\n   \| Une page de plus\.\n",
        r"rm 'Documents/été à la mer\.txt'\n.*\| Du sable et du sel\.\n",
        r"\| Your logon \[adupont\]: adupont\n",
        r"\| +10\.77\.0\.11 \d+ 10\.77\.0\.1 22 refusing to re-register .* : dormeur adupont\n",
        r"\| \S+ dugong .* refusing to re-register .*code=other-owner host=dormeur user=adupont ",
        r"Done in \d+ s\n",
    )
    at = 0
    for milestone in milestones:
        found = re.compile(milestone, re.DOTALL).search(story, at)
        assert found, f"{milestone}\nnot in what follows position {at} of\n{story}"
        at = found.end()


@pytest.mark.lab
def test_kept_hosts_can_be_entered_until_they_are_stopped(kept):
    story, words = kept

    assert re.search(r"bin/demo --stop\n$", story)
    assert words[0] == "dugong"
    assert words[1:] == ["The kept hosts are gone.", "gone"]


@pytest.mark.lab
def test_interrupted_it_leaves_nothing():
    demo = in_the_foreground()
    assert demo.stdout
    while not demo.stdout.readline().startswith("2. "):
        assert demo.poll() is None

    os.killpg(demo.pid, signal.SIGINT)

    _, complaint = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert "interrupted" in complaint
    assert [one for one in processes_one() if one.owner == demo.pid] == []


@pytest.mark.lab
@pytest.mark.parametrize("tenths", range(7))
def test_interrupted_at_once_it_shows_nobody_its_insides(tenths):
    demo = in_the_foreground()
    time.sleep(tenths / 10)

    os.killpg(demo.pid, signal.SIGINT)

    _, complaint = demo.communicate(timeout=30)
    assert demo.returncode in (130, -signal.SIGINT)
    assert complaint in ("", "\nbin/demo: interrupted; nothing of it is left.\n")


@pytest.mark.lab
@pytest.mark.parametrize("logon", ["visitor", "cmartin"])
def test_without_root_it_tells_the_registration_on_loopback_addresses(lab, logon):
    host = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11", users=[User(logon)])

    result = host.run(["/opt/backuppc-register/bin/demo"], user=logon, timeout=60)

    owner = "adupont" if logon == "cmartin" else "cmartin"
    assert result.status == 0, result
    assert result.stderr == ""
    assert "going on without" in result.stdout
    assert "Without disposable hosts (the lab needs root)" in result.stdout
    assert re.search(rf"sshd +port \d+, as {logon};", result.stdout)
    assert re.search(rf"\| dormeur\s+0\s+{owner}\n", result.stdout)
    assert re.search(
        rf"\| .*success request=\d+ code=- host=dormeur user={owner} .*status=new", result.stdout
    )
    assert "| status: unchanged\n" in result.stdout
    assert "| error:other-owner\n" in result.stdout
    assert "Done in " in result.stdout


@pytest.mark.lab
def test_where_root_has_no_namespaces_it_goes_on_as_the_account_of_backuppc():
    result = subprocess.run([DEMO, "--loopback"], capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 0, result
    assert re.search(r"sshd +port \d+, as backuppc;", result.stdout)
    assert "Done in " in result.stdout


@pytest.mark.lab
def test_without_root_it_names_the_packages_that_are_missing(lab):
    host = lab.laptop("dormeur.univ-brest.fr", "10.77.0.11")
    host.run(["sed", "-i", "/^Package: nsd$/,/^$/d", "/var/lib/dpkg/status"], check=True)

    result = host.run(["/opt/backuppc-register/bin/demo"], user="cmartin")

    assert result.status == 1
    assert "only root can install them: nsd" in result.stderr


def test_unknown_arguments_are_answered_with_the_usage():
    result = subprocess.run([DEMO, "--fast"], capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert "bin/demo --keep" in result.stderr
