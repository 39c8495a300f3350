"""The site's configuration, read from the TOML file and checked."""

from backuppc_register.config.reader import (
    DEFAULT_PATH,
    as_far_as_readable,
    check,
    config_dir,
    read,
    syslog,
    with_problems,
)
from backuppc_register.config.sections import (
    FACILITIES,
    BackupPC,
    Config,
    Directory,
    Dns,
    Limits,
    Secret,
    Server,
    State,
    Syslog,
)

__all__ = [
    "DEFAULT_PATH",
    "FACILITIES",
    "BackupPC",
    "Config",
    "Directory",
    "Dns",
    "Limits",
    "Secret",
    "Server",
    "State",
    "Syslog",
    "as_far_as_readable",
    "check",
    "config_dir",
    "read",
    "syslog",
    "with_problems",
]
