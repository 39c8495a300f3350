"""Advice to an administrator: it is about this server, and names something there."""

import re

# The reader is the administrator.
_ELSEWHERE = re.compile(
    r"help desk|needs its administrator|ask (?:the|your) administrator|request number", re.I
)
_SOMETHING = re.compile(
    r"(?:/[\w.-]+){2,}"  # a file
    r"|\b(?:authorized_keys|sshd_config|[\w-]+\.(?:md|pl|timer|conf|cron))\b"
    r"|\[(?:server|directory|dns|backuppc|state|limits|syslog)\] [a-z]+"  # a setting of ours
    r"|\b(?:Cgi|Rsync)[A-Z]\w+"  # of BackupPC's
    r"|\b(?:chmod|chown|rm|ls|df|dig|perl|dpkg|apt-get|systemctl|BackupPC_serverMesg) \S"
    r"|\bbackuppc-register-admin [a-z]|--logon\b"
)


def useless(advice: str) -> bool:
    """Return whether *advice* sends the administrator elsewhere, or names no file, command or setting."""
    return bool(_ELSEWHERE.search(advice)) or not _SOMETHING.search(advice)
