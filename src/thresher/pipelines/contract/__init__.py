"""Describe the raw data and hold it to its contract, before anything is trained."""
