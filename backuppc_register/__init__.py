"""Self-service enrolment of machines in BackupPC 4."""

__version__ = "0.2.0"
