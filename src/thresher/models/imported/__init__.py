"""Models that were trained elsewhere: an ONNX file, a program of torch.export, a checkpoint of an architecture."""
