"""What runs `reconcile` and `purge --due` by itself: systemd's timers, or cron."""

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from backuppc_register.admin import program_paths
from backuppc_register.admin.init.root_files import file_step
from backuppc_register.admin.init.step import Plan, Step
from backuppc_register.system import data_files, processes

SYSTEMD_RUNS = Path("/run/systemd/system")  # sd_booted(3)
UNITS = Path("/etc/systemd/system")
PACKAGED_UNITS = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
CRON = Path("/etc/cron.d/backuppc-register")

_VERBS = ("reconcile", "purge")
_TIMERS = tuple(f"backuppc-register-{verb}.timer" for verb in _VERBS)
_SERVICES = tuple(f"backuppc-register-{verb}.service" for verb in _VERBS)
# As the files in packaging/ have it.
_COMMAND = "/usr/bin/python3 -I /opt/backuppc-register/bin/backuppc-register-admin"
_USER = "backuppc"


def steps(plan: Plan) -> Iterator[Step]:
    """Yield the steps: for systemd where it runs, else for cron, nothing where there is neither."""
    if CRON.exists():
        return
    if SYSTEMD_RUNS.is_dir():
        for name in (*_SERVICES, *_TIMERS):
            if not any((folder / name).exists() for folder in PACKAGED_UNITS):
                yield file_step(UNITS / name, _unit(plan, name))
    elif CRON.parent.is_dir():
        yield file_step(CRON, _cron(plan))


def next_lines(plan: Plan) -> Iterator[str]:
    """Yield what is left to do."""
    if CRON.exists():
        if not any(shutil.which(name, path=processes.PATH_OF_ROOT) for name in ("cron", "crond")):
            yield f"Next: apt-get install cron, or nobody reads {CRON}"
        return
    if not SYSTEMD_RUNS.is_dir():
        command = shlex.join(program_paths.admin_words(plan.path))
        yield f"Next, as {plan.owner.pw_name}, by what runs things here (there is neither systemd nor cron):"
        yield f"      each quarter of an hour: {command} reconcile --quiet"
        yield f"      once a day: {command} purge --due"
    elif not all((UNITS / "timers.target.wants" / name).exists() for name in _TIMERS):
        yield f"Next: systemctl daemon-reload; systemctl enable --now {' '.join(_TIMERS)}"


def _unit(plan: Plan, name: str) -> str:
    # systemd.service(5), COMMAND LINES: % and $ stand for something there.
    command = shlex.join(program_paths.admin_words(plan.path)).replace("%", "%%").replace("$", "$$")
    text = data_files.find(f"packaging/{name}").read_text("utf-8").replace(_COMMAND, command)
    return text.replace(f"\nUser={_USER}\n", f"\nUser={plan.owner.pw_name}\n")


def _cron(plan: Plan) -> str:
    command = shlex.join(program_paths.admin_words(plan.path)).replace("%", r"\%")  # crontab(5)
    text = data_files.find("packaging/backuppc-register.cron").read_text("utf-8")
    return text.replace(f"  {_USER}  {_COMMAND}", f"  {plan.owner.pw_name}  {command}")
