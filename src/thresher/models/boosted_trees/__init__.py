"""Gradient-boosted decision trees for rows of a table: scikit-learn fits them, an ONNX TreeEnsemble serves them."""
