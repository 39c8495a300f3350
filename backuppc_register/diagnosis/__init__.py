"""Find what is wrong with a server: one small function for each check, sorted by subject."""
