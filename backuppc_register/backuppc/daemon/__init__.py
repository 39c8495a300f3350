"""The running BackupPC, reached over its socket."""
