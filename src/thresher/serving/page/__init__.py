"""The pages: `/`, `/ui` and `/docs`."""
