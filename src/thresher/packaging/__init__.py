"""Builds Bentos and container images of champions; nothing here is part of a Bento."""
