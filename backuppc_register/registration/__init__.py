"""Register a host: who applies, under which name, and what is written."""
