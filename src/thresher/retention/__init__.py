"""`thresher clean`: what takes space, what of it may go, and why the rest stays."""
