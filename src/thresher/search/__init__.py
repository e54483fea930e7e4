"""The search for a chain of techniques that keeps a budget. It never sees the test split: the verdict alone does."""
