"""A network to be trained further: the weights of a pretrained folder, and a fresh head."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from thresher.errors import DataError
from thresher.models.imported.layer_differences import Shape, describe_differences
from thresher.models.pretrained.adapter import load_classifier
from thresher.models.pretrained.families import Architecture
from thresher.models.pretrained.folder import PretrainedFolder


def load_pretrained(architecture: Architecture, base: str, width: int, folder: PretrainedFolder) -> nn.Module:
    """Return the encoder of ``architecture`` with the weights of ``folder``; its head keeps what fits of them.

    Args:
        base: the name of the encoder within the classifier.
        width: outputs of the head, which is drawn where the weights have none of that width.

    Raises:
        DataError: weights of another network, with the differences.
    """
    model, info = load_classifier(architecture, width, _read(folder))
    _refuse_differences(info, model, base, folder.name)
    return model


def _read(folder: PretrainedFolder) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = {}
    for name, content in folder.weights.items():
        try:
            weights |= load_safetensors(content)
        except SafetensorError as error:
            raise DataError(f"{folder.name}/{name}: is no safetensors file ({error}). Fix: copy it again.") from error
    return weights


def _refuse_differences(info: dict[str, Any], model: nn.Module, base: str, name: str) -> None:
    """Raise a DataError for layers of the encoder that the weights do not have, or have in another shape."""
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    other: dict[str, Shape] = {key: tuple(got) for key, got, _ in info["mismatched_keys"]}
    got = {key: other[key] for key in _of_encoder(other, base)}
    expected: dict[str, Shape] = {key: shapes[key] for key in {*got, *_of_encoder(info["missing_keys"], base)}}
    if said := describe_differences(got, expected):
        raise DataError(
            f"{name}: not the weights of its config.json: {said}. Fix: take both of one and the same model."
        )


def _of_encoder(names: Collection[str], base: str) -> set[str]:
    """Return those of ``names`` that belong to the encoder; a pooler is a part of the head."""
    return {name for name in names if name.startswith(f"{base}.") and not name.startswith(f"{base}.pooler.")}
