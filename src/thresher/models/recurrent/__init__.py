"""Recurrent networks, for texts and series."""
