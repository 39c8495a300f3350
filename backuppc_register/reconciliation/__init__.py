"""Compare the hosts file with what was last seen, restore lost lines, and report what does not fit."""
