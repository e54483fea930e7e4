"""The widths that pruning left each layer: read off a network, and given to a fresh one."""

from __future__ import annotations

import torch
from torch import nn

ChannelPlan = dict[str, dict[str, int]]
"""Layer name -> torch's attribute name -> width."""
WIDTHS = (
    "in_channels", "out_channels", "groups", "num_features", "in_features", "out_features", "input_size", "hidden_size",
)  # fmt: skip
NUM_GATES = {"LSTM": 4, "GRU": 3}


def read_channel_plan(body: nn.Module) -> ChannelPlan:
    """Return the widths of every layer that has any."""
    plan = {
        name: {width: int(getattr(layer, width)) for width in WIDTHS if hasattr(layer, width)}
        for name, layer in body.named_modules()
    }
    return {name: widths for name, widths in plan.items() if widths}


def apply_channel_plan(body: nn.Module, plan: ChannelPlan) -> None:
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
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        kernel = (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
        return {"weight": kernel, "bias": (layer.out_channels,)}
    if isinstance(layer, nn.Linear):
        return {"weight": (layer.out_features, layer.in_features), "bias": (layer.out_features,)}
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (layer.num_features,))
    if isinstance(layer, nn.RNNBase):
        rows = NUM_GATES[layer.mode] * layer.hidden_size
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("bias_ih_l0", "bias_hh_l0"), (rows,))
        shapes |= {"weight_ih_l0": (rows, layer.input_size), "weight_hh_l0": (rows, layer.hidden_size)}
        return shapes | {f"{name}_reverse": shape for name, shape in shapes.items()}
    raise AssertionError(f"no channel plan for a layer of type {type(layer).__name__}")
