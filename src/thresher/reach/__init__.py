"""Which definitions of a package a function reaches, read from its source without importing it."""
