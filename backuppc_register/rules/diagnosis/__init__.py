"""What can be wrong with a server, one small function for each thing."""
