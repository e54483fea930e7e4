"""The page for people, what is at `/`, and `/docs`."""
