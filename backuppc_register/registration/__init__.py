"""Register a host: identify the applicant, choose the host's name, plan, write."""
