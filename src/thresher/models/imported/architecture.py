"""A checkpoint held against its architecture before any data is read: what depends on the data is left open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from thresher.errors import DataError, ThresherError
from thresher.kinds.record import KindError, ModalityKind
from thresher.kinds.registry import registry
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.imported.layer_differences import Shape, describe_differences
from thresher.models.imported.layer_names import describe_side_by_side, name_as_ours
from thresher.models.safetensors_header import read_header

FIX = "give model the fields it was trained with, or say in model.names what its weights are called here."


def check_checkpoint(file: ModelFile, config: Checkpoint, modality: str, task: str) -> None:
    """Compare the layers in ``file`` with those of its architecture.

    Raises:
        DataError: a file that cannot be read safely, or layers of another network, both sides by name.
    """
    header = read_header(file.content)
    if header is None:
        from thresher.models.imported.checkpoint import read_weights

        shapes: dict[str, Shape] = {name: tuple(tensor.shape) for name, tensor in read_weights(file).items()}
    else:
        header.check_size(len(file.content), file.name)
        shapes = dict(header.shapes)
    expected = _expected(config, modality, task)
    if expected is None:
        return
    called, _ = name_as_ours(shapes, expected[0], config.names, header is None, file.name)
    refuse_differences({ours: shapes[name] for name, ours in called.items()}, *expected, config, file.name)


def refuse_differences(
    got: Mapping[str, Shape], expected: Mapping[str, Shape], optional: Collection[str], config: Checkpoint, name: str
) -> None:
    """Raise a DataError if the tensors ``got`` are not those ``expected``, with both sides by name."""
    if said := describe_differences(got, expected, optional):
        beside = describe_side_by_side(got, {key: shape for key, shape in expected.items() if key not in optional})
        what = f"{name}: not the weights of this {config.architecture}: {said}. Fix: {FIX}"
        raise DataError(f"{what}\n{beside}" if beside else what)


def _expected(config: Checkpoint, modality: str, task: str) -> tuple[dict[str, Shape], set[str]] | None:
    """Return the shapes of the architecture's layers, and the layers that not all data makes; None if it needs data."""
    probes = _probes(modality)
    if probes is None:
        return None
    outputs = (ClassOutput(num_classes=3), ClassOutput(num_classes=5))
    values = (ValueOutput(mean=0.0, std=1.0),) * 2
    first, second = (
        _build(config, given, output)
        for given, output in zip(probes, values if task == "regression" else outputs, strict=True)
    )
    if first is None or second is None:
        return None
    shared = {name: _meet(first[name], second[name]) for name in first.keys() & second.keys()}
    return {**first, **second, **shared}, set(first) ^ set(second)


def _probes(modality: str) -> tuple[ModelInput, ModelInput] | None:
    try:
        probes: tuple[ModelInput, ModelInput] | None = (
            registry().find(ModalityKind, modality).class_of("model_input").probes()
        )
    except KindError:  # the recipe's own check reports it
        return None
    return probes


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
