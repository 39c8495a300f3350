"""Use the operating system: files, processes, accounts and time."""
