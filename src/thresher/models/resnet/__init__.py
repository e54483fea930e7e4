"""Residual networks for small images."""
