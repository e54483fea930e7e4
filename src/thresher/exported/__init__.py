"""A model in a folder of its own, for whoever has ONNX Runtime and numpy and nothing of ours.

`predictor.py`, `encode_MODALITY.py` and `mlflow_model.py` are copied: they import nothing of Thresher but each other.
"""
