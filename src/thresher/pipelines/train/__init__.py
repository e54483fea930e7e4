"""Split, encode, and train the float model."""
