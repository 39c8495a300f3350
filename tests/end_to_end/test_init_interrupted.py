"""`init` is killed, or the disk fails, at system calls that write; the next run ends as an undisturbed one.

By default a sample that is always the same; `--faults 0` takes every call of these kinds.
"""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from injection import Fault, sampled
from lab import Lab, Result, Server
from services import slapd

pytestmark = pytest.mark.lab

ADMIN = "/opt/backuppc-register/bin/backuppc-register-admin"
KEYS = "/var/lib/backuppc/.ssh/authorized_keys"
OURS = "/etc/backuppc-register /var/lib/backuppc-register"
CHANGED = (
    "etc/backuppc etc/rsyslog.d etc/logrotate.d etc/cron.d etc/systemd/system etc/ssh var/lib/backuppc/.ssh"
)
FOREIGN = 'from="::1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPeQOQtU0S7VCm9x3cQoW3sX2lU1TSC3cO4kqFhRvA1 x\n'
TOLD = [
    "init", "--url", "https://dugong.univ-brest.fr/backuppc/index.cgi?host={host}", "--ldap", "ldap://127.0.0.1",
    "--base", slapd.BASE, "--domain", "univ-brest.fr",
]  # fmt: skip
CALLS = ("rename", "fsync", "mkdir", "fchmod", "fchown", "unlink")
KINDS = ("SIGKILL", "EIO")
MOST = 8
TRACE = "/run/trace"
# What may differ between two runs: times, keys, and the state folder's files of locks.
VARIES = re.compile(r"/(LOCK|limits/.*|register-keys/.*|authorized_keys)$")


@pytest.fixture(scope="module")
def dugong() -> Iterator[Server]:
    """Give a server with BackupPC, another key in authorized_keys, and nothing of this program's."""
    with Lab() as lab:
        dugong = lab.server("dugong.univ-brest.fr")
        dugong.run(
            f"rm -rf {OURS} /etc/*/backuppc-register* /etc/ssh/*/backuppc-register*; chmod g-s /etc/backuppc",
            check=True,
        )
        dugong.write(KEYS, FOREIGN, mode=0o600, owner="backuppc:backuppc")
        dugong.run(f"cd /; mkdir -p etc/cron.d; tar cpf /run/before.tar {CHANGED}", check=True)
        yield dugong


def begin_again(dugong: Server) -> None:
    dugong.run(f"cd /; rm -rf {OURS} {CHANGED}; tar xpf /run/before.tar", check=True)


def init(dugong: Server, *strace: str) -> Result:
    return dugong.run([*strace, ADMIN, *TOLD], env={"SUDO_USER": "jdoe"}, timeout=60)


def made(dugong: Server) -> dict[str, str]:
    """Return type, mode, owner and content of all that init may touch, without what varies."""
    seen = dugong.picture(*OURS.split(), *(f"/{name}" for name in CHANGED.split()))
    facts = {path: what.split() for path, what in seen.items() if not VARIES.search(path)}
    # Of a folder also the size varies.
    return {
        path: " ".join((*of[:3], *(of[5:] if of[0] == "d" else (of[3], *of[5:]))))
        for path, of in facts.items()
    }


def faults_of_init(dugong: Server) -> list[Fault]:
    begin_again(dugong)
    done = init(dugong, "strace", "-f", "-qq", "-o", TRACE, "-e", f"trace={','.join(CALLS)}")
    assert done.status == 0, done
    counts: Counter[tuple[str, str]] = Counter()
    for line in dugong.read(TRACE).splitlines():
        if match := re.match(r"(\d+) +(\w+)\(", line):
            counts[match[2], match[1]] += 1
    most = {call: max(n for (name, _), n in counts.items() if name == call) for call, _ in counts}
    return [
        Fault(call, at, kind) for kind in KINDS for call in sorted(most) for at in range(1, most[call] + 1)
    ]


def test_an_init_with_a_fault_anywhere_is_finished_by_the_next(
    dugong: Server, request: pytest.FixtureRequest
) -> None:
    faults = faults_of_init(dugong)
    as_usual = made(dugong)
    assert len(faults) > 20
    asked = request.config.getoption("faults")
    for fault in sampled(faults, "init", min(asked, MOST) if asked else 0):
        begin_again(dugong)

        ended = init(
            dugong, "strace", "-f", "-qq", "-o", TRACE, "-e", f"trace={fault.call}", "-e", fault.option
        )
        halfway = dugong.read(KEYS)
        again = init(dugong)

        assert "Traceback" not in ended.stderr, (fault, ended)
        assert halfway.startswith(FOREIGN), (fault, halfway)
        assert again.status == 0, (fault, ended, again)
        assert made(dugong) == as_usual, fault
        lines = dugong.read(KEYS).splitlines()
        assert lines[0] == FOREIGN.strip()
        assert len(lines) == 2, (fault, lines)
