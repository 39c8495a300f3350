"""The demo that `bin/demo` runs: a registration, a backup and a restore, told as a story."""
