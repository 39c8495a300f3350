"""Real services as child processes of a test or the demo."""
