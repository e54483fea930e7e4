"""EfficientNet-Lite0: a published network of somebody else, as a kind of model."""
