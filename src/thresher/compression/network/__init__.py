"""Techniques on the torch network, and what only they need."""
