"""The wire protocol in code, once: errors, requests and replies; pure."""
