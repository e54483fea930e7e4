"""A network and all it takes to rebuild it: uint8 images in, logits out."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from thresher.config import Config
from thresher.models import BUILD, Model

WIDTHS = ("in_channels", "out_channels", "groups", "num_features", "in_features", "out_features")


class NetworkSpec(Config):
    """Everything but the weights. Stored as JSON beside them: no pickle is ever loaded."""

    model: Model
    input_shape: tuple[int, int, int]
    """Channels, height, width of one image."""
    num_classes: int
    mean: tuple[float, ...]
    """Of each channel over the training split, in 0..255."""
    std: tuple[float, ...]
    channel_plan: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Layer name -> the widths that pruning left it, by torch's attribute names."""


class Network(nn.Module):
    """Normalizes uint8 images [B, C, H, W] inside the graph, then maps them to logits [B, K]."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(spec.std).view(1, -1, 1, 1))
        self.body = BUILD[type(spec.model)](spec.model, spec.input_shape, spec.num_classes)
        apply_channel_plan(self.body, spec.channel_plan)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.body(self.normalize(image))

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """Return float32 images of zero mean and unit variance over the training split."""
        return (image.float() - self.mean) * self.scale

    def output_layer(self) -> nn.Module:
        """Return the layer that makes the logits; its width is the task's and is never pruned."""
        return [module for module in self.body.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]


def read_channel_plan(body: nn.Module) -> dict[str, dict[str, int]]:
    """Return the widths of every layer that has any."""
    plan = {
        name: {width: int(getattr(layer, width)) for width in WIDTHS if hasattr(layer, width)}
        for name, layer in body.named_modules()
    }
    return {name: widths for name, widths in plan.items() if widths}


def apply_channel_plan(body: nn.Module, plan: dict[str, dict[str, int]]) -> None:
    """Give the layers of ``body`` the widths of ``plan``, with fresh weights to be loaded into them."""
    for name, widths in plan.items():
        layer = body.get_submodule(name)
        for width, value in widths.items():
            setattr(layer, width, value)
        for attribute, shape in _shapes(layer).items():
            old = getattr(layer, attribute, None)
            if old is not None:
                new = torch.ones(shape, dtype=old.dtype)
                setattr(layer, attribute, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)


def _shapes(layer: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of ``layer`` that its widths decide."""
    if isinstance(layer, nn.Conv2d):
        kernel = (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
        return {"weight": kernel, "bias": (layer.out_channels,)}
    if isinstance(layer, nn.Linear):
        return {"weight": (layer.out_features, layer.in_features), "bias": (layer.out_features,)}
    if isinstance(layer, nn.BatchNorm2d):
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (layer.num_features,))
    raise AssertionError(f"no channel plan for a layer of type {type(layer).__name__}")
