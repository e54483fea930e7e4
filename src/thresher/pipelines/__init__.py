"""The stages of a run, one folder each, and their composition into the Kedro pipeline of one recipe."""
