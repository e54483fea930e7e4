"""The verdict, and what a person reads of it."""
