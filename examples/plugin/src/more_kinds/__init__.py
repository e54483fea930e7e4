"""Kinds for Thresher: the technique clip_weights, the schedule inverse_root, the model efficientnet_lite0."""
