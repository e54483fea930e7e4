"""A user's project: where it is, and how one is made."""
