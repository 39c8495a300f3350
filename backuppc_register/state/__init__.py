"""All that is ours on disk."""
