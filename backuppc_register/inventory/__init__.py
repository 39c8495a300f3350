"""What the server knows of its hosts: their status, owners and last seen hosts lines."""
