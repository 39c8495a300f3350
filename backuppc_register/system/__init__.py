"""What the operating system gives: files, processes, accounts and time."""
