"""Questions to other machines: the directory, the DNS."""
