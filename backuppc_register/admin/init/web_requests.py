"""The step that gives Apache our rule against requests of other web sites to BackupPC's pages."""

from collections.abc import Iterator
from pathlib import Path

from backuppc_register.admin.init.root_files import file_step
from backuppc_register.admin.init.step import Step, packaged

AVAILABLE = Path("/etc/apache2/conf-available/backuppc-register.conf")
ENABLED = Path("/etc/apache2/conf-enabled/backuppc-register.conf")


def steps() -> Iterator[Step]:
    """Yield the step for Apache's file, if there is an Apache."""
    if AVAILABLE.parent.is_dir():
        yield file_step(AVAILABLE, packaged("apache.conf"))


def next_lines() -> Iterator[str]:
    """Yield what is left to do."""
    if not AVAILABLE.parent.is_dir():
        yield "There is no Apache: give your web server rules like those of packaging/apache.conf."
    elif not ENABLED.exists():
        yield "Next: a2enmod headers && a2enconf backuppc-register && systemctl reload apache2"
