"""Which parts of a sample mattered for an answer."""
