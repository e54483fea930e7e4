"""From samples to answers, independent of any protocol."""
