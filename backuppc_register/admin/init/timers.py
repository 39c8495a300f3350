"""The steps for the timers of `reconcile` and `purge --due`: systemd's units, or a file of cron."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from backuppc_register.admin import program_paths
from backuppc_register.admin.init.root_files import file_step
from backuppc_register.admin.init.step import Plan, Step, packaged
from backuppc_register.diagnosis.schedule import CRON, SYSTEMD_RUNS
from backuppc_register.system import processes

UNITS = Path("/etc/systemd/system")
PACKAGED_UNITS = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))

_NAMES = ("backuppc-register-reconcile", "backuppc-register-purge")
_SERVICES = tuple(f"{name}.service" for name in _NAMES)
_TIMERS = tuple(f"{name}.timer" for name in _NAMES)
# As in the files of packaging/.
_COMMAND = "/usr/bin/python3 -I /opt/backuppc-register/bin/backuppc-register-admin"
_USER = "backuppc"


def steps(plan: Plan) -> Iterator[Step]:
    """Yield the steps for systemd if it runs, else for cron; none if there is neither."""
    if CRON.exists():
        return
    command = shlex.join(program_paths.admin_words(plan.path))
    if SYSTEMD_RUNS.is_dir():
        for name in (*_SERVICES, *_TIMERS):
            if not any((folder / name).exists() for folder in PACKAGED_UNITS):
                yield file_step(UNITS / name, _unit(name, command, plan.owner.pw_name))
    elif CRON.parent.is_dir():
        line = command.replace("%", r"\%")  # crontab(5)
        text = packaged("backuppc-register.cron")
        yield file_step(CRON, text.replace(f"  {_USER}  {_COMMAND}", f"  {plan.owner.pw_name}  {line}"))


def _unit(name: str, command: str, user: str) -> str:
    command = command.replace("%", "%%").replace("$", "$$")  # systemd.service(5), COMMAND LINES
    return packaged(name).replace(_COMMAND, command).replace(f"\nUser={_USER}\n", f"\nUser={user}\n")


def next_lines(plan: Plan) -> Iterator[str]:
    """Yield what is left to do."""
    if CRON.exists():
        if not any(shutil.which(name, path=processes.PATH_OF_ROOT) for name in ("cron", "crond")):
            yield f"Next: apt-get install cron, because nothing reads {CRON}"
    elif not SYSTEMD_RUNS.is_dir():
        command = shlex.join(program_paths.admin_words(plan.path))
        yield f"There is neither systemd nor cron. Next, run as {plan.owner.pw_name}:"
        yield f"      every 15 minutes: {command} reconcile --quiet"
        yield f"      once a day: {command} purge --due"
    elif not all((UNITS / "timers.target.wants" / name).exists() for name in _TIMERS):
        yield f"Next: systemctl daemon-reload; systemctl enable --now {' '.join(_TIMERS)}"
