"""One branch a candidate: its chain on the torch network, the export, its quantization."""
