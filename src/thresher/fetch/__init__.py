"""Gets a known data set into the project's data/ folder, whole or not at all."""
