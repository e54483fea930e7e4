"""Kinds for Thresher: the technique clip_weights and the schedule inverse_root."""
