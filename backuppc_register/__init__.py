"""Self-service enrolment of machines in BackupPC 4."""

__version__ = "0.4.0"
