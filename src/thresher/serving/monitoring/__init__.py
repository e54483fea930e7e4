"""What a service says of itself: metrics, logs, traces, drift, and the comparison with a challenger."""
