"""Series: one or many channels over time."""
