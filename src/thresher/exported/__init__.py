"""A champion in a folder of its own, for whoever has ONNX Runtime and numpy and nothing of ours.

`predictor.py` and `encode_MODALITY.py` are copied: they import nothing of Thresher but each other.
"""
