"""Check a server: a small function for each check, sorted by subject."""
