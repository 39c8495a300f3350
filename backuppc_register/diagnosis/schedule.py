"""Find out whether anything starts `reconcile` regularly: systemd's timer, or cron with our file."""

import stat
from dataclasses import dataclass
from pathlib import Path

from backuppc_register.diagnosis.finding import Answer, yellow
from backuppc_register.system import processes

SYSTEMD_RUNS = Path("/run/systemd/system")  # sd_booted(3)
CRON = Path("/etc/cron.d/backuppc-register")
TIMER = "backuppc-register-reconcile.timer"

_TIMEOUT = 5.0  # seconds for one question to systemd
_PROCESSES = Path("/proc")
_ROOT = 0
_CRONS = {"cron", "crond", "fcron"}


@dataclass(frozen=True)
class Schedule:
    """Whether something *starts* `reconcile` (None: that cannot be told), *what* is known, and an advice."""

    starts: bool | None
    what: str
    advice: str = ""

    def alarm(self) -> Answer:
        """Return the finding of a schedule that starts nothing."""
        return yellow(self.what, self.advice)


def find() -> Schedule:
    """Return what starts `reconcile`; the better of systemd and cron."""
    found = [source for source in (_systemd(), _cron()) if source is not None]
    unknown = Schedule(None, f"neither a systemd that runs nor {CRON}: what starts reconcile cannot be told")
    order = (True, None, False)
    return min(found, key=lambda one: order.index(one.starts), default=unknown)


def _systemd() -> Schedule | None:
    """Ask systemd for our timer; None without systemd, or if only cron is set up."""
    if not SYSTEMD_RUNS.is_dir():
        return None
    enabled, active = (_systemctl(word) for word in ("is-enabled", "is-active"))
    if not enabled or not active:
        return Schedule(None, f"systemd does not answer about {TIMER}", f"systemctl status {TIMER}")
    if active != "active" or enabled not in ("enabled", "static"):
        what = f"{TIMER} is {enabled} and {active}: nothing starts reconcile"
        return Schedule(False, what, f"systemctl enable --now {TIMER}")
    return Schedule(True, f"{TIMER} is {enabled} and {active}")


def _systemctl(question: str) -> str:
    """Return the one word of `systemctl`, or "" if it does not answer."""
    try:
        ended = processes.run(["systemctl", question, TIMER], _TIMEOUT)
    except OSError:
        return ""
    return ended.output.decode("ascii", "replace").strip().partition("\n")[0] or _absent(ended.error_text)


def _absent(error_text: str) -> str:
    # systemctl is-enabled writes nothing to its output for a unit that does not exist.
    return "not-found" if "No such file" in error_text or "not found" in error_text else ""


def _cron() -> Schedule | None:
    """Judge our file for cron; None if there is none."""
    try:
        status, content = CRON.stat(), CRON.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        return Schedule(None, f"{CRON} cannot be read: {error}", f"ls -l {CRON}")
    if status.st_uid != _ROOT or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Schedule(
            False, f"cron ignores {CRON}: see its owner and mode", f"chown root: and chmod 644 {CRON}"
        )
    if not any("reconcile" in line for line in content.split("\n") if not line.lstrip().startswith("#")):
        return Schedule(
            False, f"{CRON} does not start reconcile", f"See packaging/backuppc-register.cron; {CRON}"
        )
    match _cron_runs():
        case True:
            return Schedule(True, f"cron reads {CRON}")
        case None:
            return Schedule(
                None, f"whether cron runs, which reads {CRON}, cannot be told", "systemctl status cron"
            )
        case _:
            advice = "apt-get install cron; systemctl enable --now cron"
            return Schedule(False, f"no cron runs, so nothing reads {CRON}", advice)


def _cron_runs() -> bool | None:
    """Tell whether a cron runs; None if we cannot see the processes of others (proc(5), hidepid)."""
    if not (_PROCESSES / "1").exists():
        return None
    return any(_name(process) in _CRONS for process in _PROCESSES.glob("[0-9]*"))


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:  # it has ended
        return ""
