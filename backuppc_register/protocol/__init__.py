"""Define the wire protocol once: errors, requests and replies; pure."""
