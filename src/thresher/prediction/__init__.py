"""New data, scored with a champion: read piece by piece, answered in batches, kept in parts that survive a kill."""
