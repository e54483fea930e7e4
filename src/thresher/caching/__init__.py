"""Re-run only what changed: what a node's outputs depend on, what of it changed, what is reused."""
