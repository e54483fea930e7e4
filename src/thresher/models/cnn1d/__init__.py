"""Convolutions over time, for series."""
