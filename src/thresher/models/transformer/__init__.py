"""The encoder of a Transformer, for texts."""
