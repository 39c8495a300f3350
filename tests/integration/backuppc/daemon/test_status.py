"""The adapter of BackupPC's daemon on the real BackupPC: it learns hosts, begins backups, hangs."""

import pytest
from lab import Host, Lab
from real_backuppc import LOG, PROGRAM, a_server, python

ONLY_ANNOUNCE = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from backuppc_register.backuppc.daemon.status import Daemon
print(Daemon("/run/backuppc/BackupPC.sock").announce(sys.argv[1], 10) or "known")
"""
BEGIN = """
import sys
sys.path.insert(0, "/opt/backuppc-register")
from backuppc_register.backuppc.daemon.status import Daemon
for _ in range(2):
    print(Daemon("/run/backuppc/BackupPC.sock").begin_full(sys.argv[1], "cmartin", 10) or "asked")
"""
ASK_SHORTLY = """
    import sys
    sys.path.insert(0, "/opt/backuppc-register")
    from backuppc_register.backuppc.daemon.status import Daemon
    Daemon("/run/backuppc/BackupPC.sock").announce("dormeur", 0.06)
"""
AT_WORK = "pgrep -f '/bin/BackupPC( |$|_dump)'"
HANGS = {  # what makes BackupPC hang when it is next told to reload, and what ends that
    "stopped": (
        "kill -STOP $(cat /run/backuppc/BackupPC.pid)",
        "kill -CONT $(cat /run/backuppc/BackupPC.pid)",
    ),
    "waits for its lock": (
        "setsid flock /etc/backuppc/LOCK sleep 60 >/dev/null 2>&1 & echo $! > /run/holder; sleep 0.3",
        "kill -- -$(cat /run/holder)",
    ),
    "reads its config": ("echo 'sleep(4); 1;' >> /etc/backuppc/config.pl", "sleep 4"),
}


def a_backup_under_way(server: Host) -> str:
    """Let BackupPC begin a backup that goes on for a minute; give the processes of BackupPC."""
    server.write("/usr/local/bin/slow", "#!/bin/sh\nexec sleep 60\n", mode=0o755)
    server.run("echo '$Conf{PingCmd} = \"/usr/local/bin/slow\";' >> /etc/backuppc/config.pl", check=True)
    python(server, PROGRAM, "localhost")
    python(server, BEGIN, "localhost")
    server.wait_for(lambda: len(server.run(AT_WORK).lines) == 2, "a backup")
    return server.run(AT_WORK).stdout


@pytest.mark.lab
class TestTheRealBackupPC:
    def test_it_knows_a_host_that_was_added_even_several_in_one_second(self, lab: Lab) -> None:
        server = a_server(lab)

        told = python(server, PROGRAM, "dormeur", "simplet", "joyeux.univ-brest.fr")

        assert told == ["dormeur known", "simplet known", "joyeux.univ-brest.fr known"]
        log = server.read(LOG)
        for host in ("dormeur", "simplet", "joyeux.univ-brest.fr"):
            assert log.count(f"Added host {host} ") == 1
        assert "Corrupted message" not in log

    def test_a_host_that_it_knows_is_no_reason_to_reload(self, lab: Lab) -> None:
        server = a_server(lab)
        python(server, PROGRAM, "dormeur")
        reloads = server.read(LOG).count("Reloading")

        told = python(server, PROGRAM, "dormeur")

        assert told == ["dormeur known"]
        assert server.read(LOG).count("Reloading") == reloads == 1

    def test_of_two_wishes_for_a_backup_one_is_queued(self, lab: Lab) -> None:
        server = a_server(lab)
        # A ping that takes its time: the backup is still under way when the second wish comes.
        server.write("/usr/local/bin/slow", "#!/bin/sh\nexec sleep 30\n", mode=0o755)
        server.run("echo '$Conf{PingCmd} = \"/usr/local/bin/slow\";' >> /etc/backuppc/config.pl", check=True)
        python(server, PROGRAM, "localhost")

        told = python(server, BEGIN, "localhost")

        assert told == ["asked", "asked"]
        assert server.read(LOG).count("User cmartin requested backup of localhost") == 1

    def test_it_says_when_a_host_has_no_line(self, lab: Lab) -> None:
        server = a_server(lab)

        (told,) = python(server, ONLY_ANNOUNCE, "grincheux")

        assert "does not know grincheux" in told

    def test_its_own_tool_speaks_for_us_where_it_has_a_secret(self, lab: Lab) -> None:
        server = a_server(lab, secret="s3cret")

        told = python(server, PROGRAM, "dormeur")

        assert told == ["dormeur known"]
        assert "Added host dormeur " in server.read(LOG)

    @pytest.mark.parametrize("hangs", ["stopped", "waits for its lock", "reads its config"])
    @pytest.mark.parametrize("ends", ["gives up", "is killed"])
    def test_who_goes_while_it_hangs_does_not_end_it_nor_its_backups(
        self, lab: Lab, hangs: str, ends: str
    ) -> None:
        server = a_server(lab)
        at_work = a_backup_under_way(server)
        server.run("echo 'dormeur 0 cmartin' >> /etc/backuppc/hosts", check=True)
        server.run("touch -d '2 hours' /etc/backuppc/hosts", check=True)  # or BackupPC may not see the change
        hang, come_back = HANGS[hangs]
        server.run(hang, check=True)

        program = ["/usr/bin/python3", "-I", "-B", "-c", ONLY_ANNOUNCE.replace("10", "1.5"), "dormeur"]
        if ends == "is killed":
            program = ["timeout", "-s", "KILL", "1", *program]
        gone = server.run(program, user="backuppc")
        server.run(come_back, check=True)

        assert gone.status == 137 if ends == "is killed" else "did not answer in time" in gone.stdout
        server.wait_for(lambda: python(server, ONLY_ANNOUNCE, "dormeur") == ["known"], timeout=15)
        assert "Got signal" not in server.read(LOG)
        assert "Corrupted message" not in server.read(LOG)
        assert server.run(AT_WORK).stdout == at_work

    def test_few_wait_for_one_that_hangs(self, lab: Lab) -> None:
        server = a_server(lab)
        server.run("kill -STOP $(cat /run/backuppc/BackupPC.pid)", check=True)

        program = f"for _ in range(60): {ASK_SHORTLY}"
        server.run(["/usr/bin/python3", "-I", "-B", "-c", program], user="backuppc", check=True)
        left = server.run("grep -c /run/backuppc/BackupPC.sock /proc/net/unix").stdout
        server.run("kill -CONT $(cat /run/backuppc/BackupPC.pid)", check=True)

        assert 30 < int(left) < 40
        assert "does not know" in python(server, ONLY_ANNOUNCE, "grincheux")[0]
        assert "Got signal" not in server.read(LOG)

    def test_once_it_is_stopped_it_is_told(self, lab: Lab) -> None:
        server = a_server(lab)
        # Again and again, because a BackupPC that is busy may miss a signal.
        server.run("while kill $(cat /run/backuppc/BackupPC.pid); do sleep 0.2; done 2>/dev/null")

        told = python(server, PROGRAM, "dormeur")

        assert told == ["dormeur BackupPC is not running and will read the hosts file when it starts"]
