"""Which modules a piece of code reaches by its imports, each as a hash that comments and docstrings do not change."""
