"""All that is BackupPC's: its lock, its files, its backups, its daemon."""
