"""From a Bento to a container image."""
