"""Techniques on the exported ONNX file, and what only they need."""
