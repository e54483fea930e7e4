"""Tiny pretrained encoders of images, of every family, made here: their weights are drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

SIDE = 32
_PATCHES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": SIDE,
    "patch_size": 8,
}
_STAGES = {"hidden_sizes": [16, 32], "depths": [1, 2], "num_stages": 2}
IMAGE_ENCODERS: dict[str, dict[str, Any]] = {
    "convnext": _STAGES,
    "convnextv2": _STAGES,
    "deit": _PATCHES,
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.2, "hidden_dim": 128, "image_size": SIDE},
    "mobilenet_v1": {"depth_multiplier": 0.1, "min_depth": 4},
    "mobilenet_v2": {"depth_multiplier": 0.1, "min_depth": 4},
    "resnet": {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 2], "layer_type": "bottleneck"},
    "swin": {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4, "image_size": SIDE,
             "patch_size": 4},
    "vit": _PATCHES,
}  # fmt: skip
"""`model_type` -> sizes."""
NUM_BLOCKS = {"efficientnet": 7, "mobilenet_v1": 26, "mobilenet_v2": 16}
"""Of the others, 2."""
_SQUARE = {"size": {"height": SIDE, "width": SIDE}, "image_mean": [0.485, 0.456, 0.406]}
PROCESSORS: dict[str, dict[str, Any]] = {
    "convnext": {"size": {"shortest_edge": SIDE}},
    "deit": {"size": {"height": 36, "width": 36}, "crop_size": {"height": SIDE, "width": SIDE}},
    "efficientnet": _SQUARE,
    "mobilenet_v1": {"size": {"shortest_edge": 36}, "crop_size": {"height": SIDE, "width": SIDE}},
    "swin": _SQUARE,
    "vit": _SQUARE,
}
PROCESSORS |= {"convnextv2": PROCESSORS["convnext"], "resnet": PROCESSORS["convnext"]}
PROCESSORS |= {"mobilenet_v2": PROCESSORS["mobilenet_v1"]}
"""`model_type` -> what preprocessor_config.json says beside the class of its processor."""


def write_image_folder(folder: Path, model_type: str, with_head: bool = False, **changes: Any) -> Path:
    """Write a model of that type, its config changed by ``changes`` after its weights were drawn; return ``folder``."""
    from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **IMAGE_ENCODERS[model_type], num_labels=5)
    # DeiT has several classes with a head, and the automatic one takes the first by the name in the config.
    config.architectures = ["DeiTForImageClassification"] if model_type == "deit" else None
    kind = AutoModelForImageClassification if with_head else AutoModel
    model = kind.from_config(config)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_parameters()  # some are drawn near 0, and nothing would pass through
            assert layer.running_mean is not None
            layer.running_mean.uniform_(-0.1, 0.1)
    model.save_pretrained(folder)
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**document, **changes}))
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSORS[model_type]))
    return folder
