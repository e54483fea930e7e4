"""Metrics, logs, traces, drift, and the comparison with a challenger."""
