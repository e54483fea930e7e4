"""A checkpoint held against its architecture. Before any data is read, what depends on the data is left open."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thresher.errors import DataError, ThresherError
from thresher.kinds.record import KindError, ModalityKind
from thresher.kinds.registry import registry
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.imported.layer_differences import Shape, describe_differences
from thresher.models.imported.layer_names import describe_side_by_side, name_as_ours
from thresher.models.safetensors_header import read_header

if TYPE_CHECKING:
    from thresher.models.network import Network

FIX = "give model the fields it was trained with, or say in model.names what its weights are called here."
FIX_HEAD = "train: true, which draws a head of the right width and trains it, or data of the classes it was trained on."


@dataclass(frozen=True)
class Layers:
    """The tensors of an architecture.

    Attributes:
        shapes: of all of them, by name.
        head: the names of the last layer's.
        optional: the names of those that not all data makes.
    """

    shapes: dict[str, Shape]
    head: frozenset[str]
    optional: frozenset[str] = frozenset()

    @property
    def below_head(self) -> dict[str, Shape]:
        """The shapes of all but the head's."""
        return {name: shape for name, shape in self.shapes.items() if name not in self.head}

    @property
    def any_width(self) -> Layers:
        """The same with a head of any number of outputs."""
        opened = {name: (None, *self.shapes[name][1:]) for name in self.head}
        return Layers({**self.shapes, **opened}, self.head, self.optional)


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
    match_layers(shapes, expected, config, header is None, file.name)


def match_layers(
    shapes: Mapping[str, Shape], expected: Layers, config: Checkpoint, in_order: bool, file: str
) -> tuple[dict[str, str], str]:
    """Return their name -> ours of the tensors in a file, and how that was found, or "".

    Of a network that is trained further, the file's head may have any width, or be missing.

    Args:
        shapes: of the file's tensors, by their names.
        in_order: whether the file has them in the order in which the network makes them.

    Raises:
        DataError: the tensors of another network, both sides by name.
    """
    if config.head == "fresh" and not expected.head:
        what = f"no nn.Linear makes the outputs of {config.architecture}, so that there is no head to draw"
        raise DataError(f"{file}: {what}. Fix: let its last layer be one, or a property output_layer of the module.")
    ways = [expected.any_width.shapes, expected.below_head] if config.train else [expected.shapes]
    tried = [name_as_ours(shapes, way, config.names, in_order, file) for way in ways]
    below = [
        {ours: shapes[theirs] for theirs, ours in called.items() if ours not in expected.head} for called, _ in tried
    ]
    is_whole = [not describe_differences(each, expected.below_head, expected.optional) for each in below]
    if config.train and any(is_whole):
        return tried[is_whole.index(True)]
    got, needed = below[0], expected.below_head
    if not config.train:
        got, needed = {ours: shapes[theirs] for theirs, ours in tried[0][0].items()}, expected.shapes
    fix = FIX_HEAD if is_whole[0] else FIX
    refuse_differences(got, needed, expected.optional, f"{file}: not the weights of this {config.architecture}", fix)
    return tried[0]


def refuse_differences(
    got: Mapping[str, Shape], expected: Mapping[str, Shape], optional: Collection[str], what: str, fix: str
) -> None:
    """Raise a DataError if the tensors ``got`` are not those ``expected``, with both sides by name."""
    if said := describe_differences(got, expected, optional):
        beside = describe_side_by_side(got, {key: shape for key, shape in expected.items() if key not in optional})
        raise DataError(f"{what}: {said}. Fix: {fix}\n{beside}" if beside else f"{what}: {said}. Fix: {fix}")


def layers_of(network: Network) -> Layers:
    """Return the layers of the body of ``network``."""
    shapes = {name: tuple(tensor.shape) for name, tensor in network.body.state_dict().items()}
    return Layers(shapes, network.head_names())


def _expected(config: Checkpoint, modality: str, task: str) -> Layers | None:
    """Return the architecture's layers, with None for lengths that depend on the data; None if it needs data."""
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
    one, two = first.shapes, second.shapes
    shared = {name: _meet(one[name], two[name]) for name in one.keys() & two.keys()}
    return Layers({**one, **two, **shared}, first.head | second.head, frozenset(one.keys() ^ two.keys()))


def _probes(modality: str) -> tuple[ModelInput, ModelInput] | None:
    try:
        probes: tuple[ModelInput, ModelInput] | None = (
            registry().find(ModalityKind, modality).class_of("model_input").probes()
        )
    except KindError:  # the recipe's own check reports it
        return None
    return probes


def _build(config: Checkpoint, given: ModelInput, output: Any) -> Layers | None:
    """Return the layers of a network that is made without memory for its weights."""
    import torch

    from thresher.models.network import Network, NetworkSpec

    try:
        with torch.device("meta"):
            network = Network(NetworkSpec(model=config.network, input=given, output=output))
    except ThresherError:  # such as images too small for it: the data's own size will show
        return None
    return layers_of(network)


def _meet(first: Shape, second: Shape) -> Shape:
    if len(first) != len(second):
        return first
    return tuple(one if one == two else None for one, two in zip(first, second, strict=True))
