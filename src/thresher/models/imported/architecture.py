"""A checkpoint held against its architecture before any data is read: what depends on the data is left open."""

from __future__ import annotations

from typing import Any

from thresher.errors import DataError, ThresherError
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text.model_input import TextInput
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.imported.layer_differences import Shape, match_names, read_header, say_differences

FIX = "give model the fields it was trained with, or rename its weights."
Inputs = tuple[ModelInput, ModelInput]


def _image(channels: int, height: int, width: int) -> ImageInput:
    return ImageInput(channels=channels, height=height, width=width, mean=(0.0,) * channels, std=(1.0,) * channels)


def _series(channels: int, length: int) -> SeriesInput:
    return SeriesInput(channels=channels, max_length=length, mean=(0.0,) * channels, std=(1.0,) * channels)


PROBES: dict[str, Inputs] = {
    "image": (_image(1, 32, 32), _image(3, 64, 64)),
    "text": (TextInput(vocabulary_size=50, max_length=16), TextInput(vocabulary_size=70, max_length=24)),
    "tabular": (TabularInput(num_numeric=3, cardinalities=(4,)), TabularInput(num_numeric=5, cardinalities=(6, 7))),
    "series": (_series(1, 16), _series(3, 24)),
}
"""Modality -> two inputs that differ in all that data may differ in: what both networks share is the architecture's."""


def check_checkpoint(file: ModelFile, config: Checkpoint, modality: str, task: str) -> None:
    """Compare the layers in ``file`` with those of its architecture.

    Raises:
        DataError: a file that cannot be read safely, or layers of another network, both sides by name.
    """
    shapes = read_header(file.content)
    if shapes is None:
        from thresher.models.imported.checkpoint import read_weights

        shapes = {name: tuple(tensor.shape) for name, tensor in read_weights(file).items()}
    expected = _expected(config, modality, task)
    if expected is None:
        return
    body, _ = match_names(shapes, expected[0].keys())
    if said := say_differences(body, *expected):
        raise DataError(f"{file.name}: not the weights of this {config.architecture}: {said}. Fix: {FIX}")


def _expected(config: Checkpoint, modality: str, task: str) -> tuple[dict[str, Shape], set[str]] | None:
    """Return the shapes of the architecture's layers, and the layers that not all data makes; None if it needs data."""
    outputs = (ClassOutput(num_classes=3), ClassOutput(num_classes=5))
    values = (ValueOutput(mean=0.0, std=1.0),) * 2
    first, second = (
        _build(config, given, output)
        for given, output in zip(PROBES[modality], values if task == "regression" else outputs, strict=True)
    )
    if first is None or second is None:
        return None
    shared = {name: _meet(first[name], second[name]) for name in first.keys() & second.keys()}
    return {**first, **second, **shared}, set(first) ^ set(second)


def _build(config: Checkpoint, given: ModelInput, output: Any) -> dict[str, Shape] | None:
    """Return the shapes of a network that is made without memory for its weights."""
    import torch

    from thresher.models.network import Network, NetworkSpec

    try:
        with torch.device("meta"):
            network = Network(NetworkSpec(model=config.network, input=given, output=output))
    except ThresherError:  # such as images too small for it: the data's own size will show
        return None
    return {name: tuple(tensor.shape) for name, tensor in network.body.state_dict().items()}


def _meet(first: Shape, second: Shape) -> Shape:
    if len(first) != len(second):
        return first
    return tuple(one if one == two else None for one, two in zip(first, second, strict=True))
