"""Measure every candidate on the ONNX file that would be served."""
