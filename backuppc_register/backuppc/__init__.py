"""Everything that belongs to BackupPC: its lock, files, backups and daemon."""
