"""Everything that we keep on disk."""
