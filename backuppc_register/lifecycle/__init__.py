"""Change what happens to a host after it was registered: retire, resume, purge, transfer."""
