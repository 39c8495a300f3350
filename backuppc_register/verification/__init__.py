"""Verify a host: connect back, pin its ssh host key, prove that a backup works."""
