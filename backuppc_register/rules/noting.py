"""The ledger learns of a line that was just added to the hosts file, before anybody can lose it."""

from datetime import UTC, datetime

from backuppc_register.backuppc.hosts import Written
from backuppc_register.config import Config
from backuppc_register.inventory import hosts_snapshot
from backuppc_register.protocol.errors import NoConfigFile
from backuppc_register.state.snapshot_file import Known, Ledger


def note(added: Written, config: Config, *, data: bool) -> str:
    """Note the line *added*, of a host that has *data*; the caller holds BackupPC's lock.

    Data that the ledger knows of stays known. Return "", or what the log is to say where that failed: the
    registration stands, and `reconcile` notes the line at its next run.
    """
    line, ledger = added.line, Ledger(config.state.directory)
    try:
        known = ledger.read()
        before = known.get(line.host)
        now = Known(
            host=line.host,
            lines=(hosts_snapshot.noted(added),),
            data=data or (before is not None and before.data),
            seen=datetime.now(UTC).isoformat(timespec="seconds"),
            place=before.place if before else "",
        )
        ledger.write((known | {line.host: now}).values())
    except NoConfigFile as error:
        return f"the line was not noted: {error.detail}"
    return ""
