"""Everything about the rendered directory on disk."""
