"""Verify a host: connect back, pin its ssh host key, and prove that a backup works."""
