"""BackupPC's jobs are kept off a host by the mutex that its own programs take: with the real BackupPC."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab import Lab
from real_backuppc import LOG, PROGRAM, a_server, python

from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.protocol.errors import Busy

START = """
import subprocess, sys
sys.path.insert(0, "/opt/backuppc-register")
from backuppc_register.backuppc.daemon.jobs import Jobs
from backuppc_register.protocol.errors import Busy
jobs = Jobs("/run/backuppc/BackupPC.sock")
def dump(host):
    tool = ["/usr/share/backuppc/bin/BackupPC_dump", "-f", host]
    done = subprocess.run(tool, capture_output=True, text=True)
    print("refused" if "can't run" in done.stdout else "ran")
"""
# A dump pings first, then takes the mutex, then sees that it has nothing to do.
DISABLED = "$Conf{PingCmd} = ''; $Conf{ClientNameAlias} = '127.0.0.1'; $Conf{BackupsDisable} = 2;\n"


def test_where_backuppc_is_not_to_be_asked_nothing_is_asked() -> None:
    with Jobs("").kept_away("dormeur") as kept:
        assert "is not running" in kept.tell(known=("dormeur",))
    assert Jobs("").stop("dormeur", "chef") == ""


@pytest.mark.parametrize("host", ["", "a b", "dormeur\n", "x) status", "\u212a", "Dormeur"])
def test_what_is_no_host_is_not_said_to_it(host: str) -> None:
    with pytest.raises(Busy), Jobs("/nowhere").kept_away(host):
        pass
    with pytest.raises(Busy):
        Jobs("/nowhere").stop(host, "chef")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.mark.lab
class TestTheRealBackupPC:
    def test_no_job_starts_on_a_kept_host_and_others_and_later_ones_do(self, lab: Lab) -> None:
        server = a_server(lab)
        python(server, PROGRAM, "dormeur", "simplet")
        for host in ("dormeur", "simplet"):
            server.write(f"/etc/backuppc/{host}.pl", DISABLED)

        told = python(
            server,
            START
            + """
with jobs.kept_away("dormeur") as kept:
    dump("dormeur")
    dump("simplet")
    try:
        with jobs.kept_away("dormeur"):
            pass
    except Busy as error:
        print(error.detail)
dump("dormeur")
""",
        )

        assert told == [
            "refused",
            "ran",
            "can't run backuppc-register while backuppc-register is running on host dormeur",
            "ran",
        ]

    def test_it_is_told_of_a_changed_hosts_file_and_says_what_it_sees(self, lab: Lab) -> None:
        server = a_server(lab)
        python(server, PROGRAM, "dormeur", "simplet")

        told = python(
            server,
            START
            + """
from pathlib import Path
from backuppc_register.backuppc import hosts
path = Path("/etc/backuppc/hosts")
with jobs.kept_away("dormeur") as kept:
    hosts.remove(path, hosts.read(path), "dormeur")
    hosts.append(path, hosts.read(path), "dormeur_20261122", "cmartin")
    print(kept.tell(known=("dormeur_20261122",), gone=("dormeur",)) or "so")
    print(kept.tell(known=("dormeur",), gone=("simplet",)))
with jobs.kept_away("dormeur") as kept:
    print("unknown hosts have no jobs")
""",
        )

        assert told == [
            "so",
            "BackupPC does not know dormeur and still knows simplet",
            "unknown hosts have no jobs",
        ]

    def test_stopping_says_what_became_of_it(self, lab: Lab) -> None:
        server = a_server(lab)
        python(server, PROGRAM, "dormeur")

        told = python(server, START + "print(jobs.stop('dormeur', 'chef de service'))")

        assert told == ["no backup was pending or running"]
        assert "request by chef_de_service" in server.read("/var/lib/backuppc/log/LOG")

    def test_one_with_a_secret_is_spoken_to_by_its_own_library(self, lab: Lab) -> None:
        server = a_server(lab, secret="s3cret")
        python(server, PROGRAM, "dormeur")
        server.write("/etc/backuppc/dormeur.pl", DISABLED)
        program = """
with jobs.kept_away("dormeur") as kept:
    dump("dormeur")
    print(kept.tell(known=("dormeur",), gone=("simplet",)) or "so")

dump("dormeur")
"""

        told = python(server, START + program)

        assert told == ["refused", "so", "ran"]

    def test_one_that_is_stopped_is_no_hindrance(self, lab: Lab) -> None:
        server = a_server(lab)
        server.run("kill $(cat /run/backuppc/BackupPC.pid)", check=True)
        server.run("while kill -0 $(cat /run/backuppc/BackupPC.pid); do sleep 0.05; done 2>/dev/null")

        told = python(server, START + "with jobs.kept_away('dormeur') as kept:\n    print(kept.tell())")

        assert told == ["BackupPC is not running and will read the hosts file when it starts"]

    @pytest.mark.parametrize("when", ["before", "while it is asked"])
    def test_one_that_is_late_does_not_end(self, lab: Lab, when: str) -> None:
        server = a_server(lab)
        python(server, PROGRAM, "dormeur")
        stop = "subprocess.run('kill -STOP $(cat /run/backuppc/BackupPC.pid)', shell=True, check=True)\n"
        kept = "with jobs.kept_away('dormeur') as kept:\n    "
        program = START + "import backuppc_register.backuppc.daemon.jobs as module\nmodule._TIMEOUT = 0.5\n"
        program += stop + kept + "pass" if when == "before" else kept + stop + "    print(kept.tell())"

        said = server.run(["/usr/bin/python3", "-I", "-B", "-c", program], user="backuppc")
        server.run("kill -CONT $(cat /run/backuppc/BackupPC.pid)", check=True)

        assert "timed out" in said.stdout + said.stderr
        assert python(server, PROGRAM, "dormeur") == ["dormeur known"]
        assert "Got signal" not in server.read(LOG)

    def test_one_that_hangs_up_all_the_same_is_a_fault(self, lab: Lab) -> None:
        server = a_server(lab, secret="s3cret")
        server.run("chmod 000 /usr/share/backuppc/lib/BackupPC/Lib.pm", check=True)

        refused = server.run(
            ["/usr/bin/python3", "-I", "-B", "-c", START + "with jobs.kept_away('dormeur'): pass"],
            user="backuppc",
        )

        assert "hung up" in refused.stderr

    def test_nobody_is_let_in_while_the_nightly_run_goes_on(self, lab: Lab) -> None:
        server = a_server(lab)
        python(server, PROGRAM, "dormeur")
        slow = "#!/bin/sh\\nsleep 20\\n"
        server.run(f"printf '{slow}' > /usr/share/backuppc/bin/BackupPC_nightly", check=True)
        tool = "/usr/share/backuppc/bin/BackupPC_serverMesg"
        server.run([tool, "BackupPC_nightly", "run"], user="backuppc", check=True)
        seen = "until " + tool + " status jobs | grep -q admin; do sleep 0.1; done"
        server.run(seen, user="backuppc", check=True, timeout=20)

        refused = server.run(
            ["/usr/bin/python3", "-I", "-B", "-c", START + "with jobs.kept_away('dormeur'): pass"],
            user="backuppc",
        )

        assert "BackupPC_nightly is running" in refused.stderr
