"""What the channels of a network of anybody's are: single ones, whole heads of attention, gates with what they gate.

Nothing of it is read off names. Each group of layers that Torch-Pruning's graph gives, and each that the flow of data
suggests, is tried: first channel by channel, then as heads, of the widths that its outputs are viewed in on their way.
What holds is what leaves the rest of the network as it was, by `check_removal`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from thresher.compression.network.channel_group import ChannelGroup
from thresher.compression.network.data_flow import DataFlow, trace_data_flow
from thresher.compression.network.frozen_weights import unfrozen
from thresher.compression.network.recurrent_groups import describe_recurrent
from thresher.compression.network.removal import answer, draw_weights, is_whole
from thresher.compression.network.sliced_groups import Slice, SlicedGroup, inputs_of, outputs_of
from thresher.compression.network.traced_groups import ROOTS, TracedGraph, TracedGroup
from thresher.models.network import Network, NetworkSpec
from thresher.models.random_numbers import forked_generators

if TYPE_CHECKING:
    from thresher.compression.network.channel_group import Number

MAX_TRIED = 24
"""Ways to cut one group that are tried."""
BATCH = 2


@dataclass(frozen=True)
class Layout:
    """How a group is cut.

    Attributes:
        width: values of a channel; more than one of a head.
        parts: blocks that lose the same channels.
        numbers: module, attribute and by how much it falls with each channel.
        reader: for layers whose outputs are cut apart before one layer reads them (query, key and value; a gate and
            what it gates), the name of that layer.
        interleaved: whether those cut apart lie head by head in one layer, not one after another.
        vectors: module and name of the parameters of its own that have a value for each of the reader's inputs.
    """

    width: int = 1
    parts: int = 1
    numbers: tuple[tuple[str, str, int], ...] = ()
    reader: str = ""
    interleaved: bool = False
    vectors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Structure:
    """What can be cut of the networks of one spec.

    Attributes:
        layouts: group -> how it is cut.
        refused: group -> why it is not.
        modules: the names of the modules that it is true of.
    """

    layouts: dict[str, Layout]
    refused: dict[str, str]
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Traced:
    """A body and what one call of it shows."""

    body: nn.Module
    inputs: tuple[torch.Tensor, ...]
    graph: TracedGraph
    flow: DataFlow
    names: dict[nn.Module, str]
    ignored: list[nn.Module]


def trace(network: Network) -> Traced:
    """Return the body of ``network`` with its graph."""
    inputs = draw_inputs(network)
    body = network.body
    ignored = network.fixed_layers()
    with torch.enable_grad(), unfrozen(body):  # the graph is followed by gradients
        graph, flow = TracedGraph(body, inputs, ignored), trace_data_flow(body, inputs)
    names = {module: name for name, module in body.named_modules()}
    return Traced(body, inputs, graph, flow, names, ignored)


def draw_inputs(network: Network) -> tuple[torch.Tensor, ...]:
    """Return random samples as the body is given them, the second shorter where lengths differ."""
    given, generator = network.spec.input, torch.Generator().manual_seed(0)
    with torch.no_grad():
        prepared = network.prepare(torch.from_numpy(given.example(BATCH)))
    drawn = []
    for tensor in prepared:
        if tensor.is_floating_point():
            tensor = torch.randn(tensor.shape, generator=generator)
        elif tensor.ndim == 1 and tensor.dtype == torch.int64:
            tensor = torch.cat([tensor[:1], tensor[1:] // 2 + 1]).clamp(max=tensor[0])
        elif (size := getattr(given, "vocabulary_size", 0)) > 1:
            tensor = torch.randint(1, size, tensor.shape, generator=generator)
        elif sizes := getattr(given, "cardinalities", ()):
            tensor = (torch.rand(tensor.shape, generator=generator) * torch.tensor(sizes)).long()
        drawn.append(tensor)
    return tuple(drawn)


def find_structure(network: Network) -> Structure:
    """Return what of ``network`` can be cut, and how; found once for all networks of one model and input."""
    spec = network.spec.model_copy(update={"channel_plan": {}, "quantization": None})
    made_by = type(network.body)
    found = _find_structure(spec.model_dump_json(), f"{made_by.__module__}.{made_by.__qualname__}")
    if found.modules != _names_in(network.body):  # changed since it was built from its settings
        return _structure_of(copy.deepcopy(network).eval())
    return found


@lru_cache(maxsize=16)
def _find_structure(spec: str, made_by: str) -> Structure:
    with forked_generators():
        network = Network(NetworkSpec.model_validate_json(spec)).eval()
    return _structure_of(network)


def _names_in(body: nn.Module) -> tuple[str, ...]:
    return tuple(name for name, _ in body.named_modules())


def _structure_of(network: Network) -> Structure:
    """Return what of ``network`` can be cut; its weights are spoilt by it."""
    draw_weights(network.body)
    traced = trace(network)
    if not torch.isfinite(answer(traced.body, traced.inputs)[-1]).all():
        reason = "its answers are not finite, so that nothing can be checked"
        return Structure({}, {"the network": reason}, _names_in(network.body))
    plain = [group for group in traced.graph.groups if group.num_channels > group.parts]
    if _holds(traced, plain):
        layouts = {group.name: Layout(parts=group.parts, numbers=_named(traced, group)) for group in plain}
        refused: dict[str, str] = {}
    else:
        layouts, refused = _try_each(traced, plain)
    found = _find_layouts(traced, dict(_suggested(traced, layouts)))
    layouts |= {name: layout for name, layout in found.items() if layout is not None}
    refused |= {name: _reason(traced, name) for name, layout in found.items() if layout is None and name not in refused}
    refused = {name: why for name, why in refused.items() if name not in layouts}
    if traced.graph.problem:
        left = [layer for layer in traced.flow.readers if isinstance(layer, ROOTS) and layer not in traced.ignored]
        covered = {layer for name in layouts for layer in _layers_of(traced, name, layouts[name])}
        why = f"the graph of this network cannot be followed: {traced.graph.problem}"
        refused |= {traced.names[layer]: why for layer in left if layer not in covered}
    return Structure(layouts, refused, _names_in(network.body))


def build_group(traced: Traced, name: str, layout: Layout) -> ChannelGroup:
    """Return the group called ``name`` of this network."""
    layer = traced.body.get_submodule(name)
    numbers = tuple((traced.body.get_submodule(owner), key, each) for owner, key, each in layout.numbers)
    if isinstance(layer, nn.RNNBase):
        return describe_recurrent(name, layer, _readers(traced, layer))
    if layout.reader:
        return _sliced(traced, name, layout, numbers)
    group = next(group for group in traced.graph.groups if group.name == name)
    total = group.num_channels
    noun = "heads" if layout.width > 1 else "channels"
    return replace(
        group, num_channels=total // layout.width, width=layout.width, parts=layout.parts, numbers=numbers, noun=noun
    )


def _try_each(traced: Traced, groups: Sequence[TracedGroup]) -> tuple[dict[str, Layout], dict[str, str]]:
    tries: dict[str, list[Layout]] = {}
    for group in groups:
        plain = Layout(parts=group.parts, numbers=_named(traced, group))
        tries[group.name] = [plain, *_as_heads(traced, group)][:MAX_TRIED]
    found = _find_layouts(traced, tries)
    layouts = {name: layout for name, layout in found.items() if layout is not None}
    return layouts, {name: _reason(traced, name) for name in found if name not in layouts}


def _find_layouts(traced: Traced, tries: dict[str, list[Layout]]) -> dict[str, Layout | None]:
    """Return of each group the first of its ``tries`` that holds.

    Those whose names differ in numbers alone are tried at once, and apart where that does not hold: to try each of a
    deep network's blocks takes as many calls of the whole.
    """
    alike: dict[str, dict[str, list[Layout]]] = {}
    for name, each in tries.items():
        alike.setdefault(re.sub(r"\d+", "*", name), {})[name] = each
    found: dict[str, Layout | None] = {}
    for block in alike.values():
        if (held := _first_held(traced, block)) is None and len(block) > 1:
            held = {}
            for name, each in block.items():
                held |= _first_held(traced, {name: each}) or {}
        found |= dict.fromkeys(block) | (held or {})
    return {name: found[name] for name in tries}


def _first_held(traced: Traced, tries: dict[str, list[Layout]]) -> dict[str, Layout] | None:
    for layouts in zip(*tries.values(), strict=False):
        chosen = dict(zip(tries, layouts, strict=True))
        if _holds(traced, [build_group(traced, name, layout) for name, layout in chosen.items()]):
            return chosen
    return None


def _as_heads(traced: Traced, group: TracedGroup) -> Iterator[Layout]:
    """Yield the ways in which the channels of ``group`` may be heads, by the shapes in which they are viewed."""
    total, layers = group.num_channels, group.layers
    for heads, width in _views(traced.flow, layers, total):
        for numbers in _counting(traced, layers, heads, width, total):
            yield Layout(width=width, numbers=numbers)
    for heads, width in _views(traced.flow, layers, total):
        for numbers in _counting(traced, layers, width, heads, total):
            yield Layout(parts=heads, numbers=numbers)


def _views(flow: DataFlow, layers: Sequence[nn.Module], total: int) -> list[tuple[int, int]]:
    """Return the numbers and widths of heads that outputs of ``layers`` may be viewed as, the narrowest first.

    Two sides of a shape may come to the total by chance, such as samples times steps: heads that are taken for wider
    than they are go whole as well, but in pairs, and are counted wrongly.
    """
    found: dict[tuple[int, int], None] = {}
    for layer in layers:
        if isinstance(layer, nn.MultiheadAttention):
            found[layer.num_heads, layer.head_dim] = None
        for shape in flow.shapes.get(layer, ()):
            found.update(dict.fromkeys(pair for pair in pairwise(shape) if pair[0] * pair[1] == total))
    return sorted((pair for pair in found if min(pair) > 1), key=lambda pair: pair[1])


def _counting(
    traced: Traced, layers: Sequence[nn.Module], heads: int, width: int, total: int
) -> Iterator[tuple[tuple[str, str, int], ...]]:
    """Yield which attributes may count the heads and their values: of the layers' owners, by what they are now."""
    owners = dict.fromkeys(traced.body.get_submodule(traced.names[layer].rpartition(".")[0]) for layer in layers)
    whole = {heads: 1, total: width}
    attention = [layer for layer in layers if isinstance(layer, nn.MultiheadAttention)]
    numbers = [(owner, key, value) for owner in owners if not _is_torchs(owner) for key, value in vars(owner).items()]
    numbers += [(layer, "num_heads", layer.num_heads) for layer in attention]
    found = [
        (traced.names[owner], key, whole[value])
        for owner, key, value in numbers
        if type(value) is int and value in whole
    ]
    counts, totals = (tuple(each for each in found if (each[2] == 1) == is_count) for is_count in (True, False))
    tried = [tuple(found), counts, totals, (), *((each,) for each in found)]
    yield from dict.fromkeys(tried)


def _is_torchs(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.")


def _suggested(traced: Traced, layouts: dict[str, Layout]) -> Iterator[tuple[str, list[Layout]]]:
    """Yield layers that no group of Torch-Pruning's covers, and how they may be cut."""
    covered = {layer for group in traced.graph.groups if group.name in layouts for layer in _cut_outputs(group)} | set(
        traced.ignored
    )
    for layer in traced.flow.readers:
        if isinstance(layer, nn.RNNBase):
            yield traced.names[layer], [Layout()] if _can_be_read(traced, layer) else []
    for reader in traced.body.modules():
        if not isinstance(reader, nn.Linear):
            continue
        read = [layer for layer, readers in traced.flow.readers.items() if reader in readers]
        makers = [layer for layer in read if isinstance(layer, nn.Linear) and layer not in covered]
        if not makers or len(makers) < len(read) or any(each.out_features % reader.in_features for each in makers):
            continue
        covered.update(makers)
        yield traced.names[makers[0]], list(_apart(traced, makers, reader))


def _apart(traced: Traced, makers: Sequence[nn.Linear], reader: nn.Linear) -> Iterator[Layout]:
    name, total = traced.names[reader], reader.in_features
    layers = [*makers, reader]
    vectors = tuple(_vectors(traced, makers, total))
    orders = (False, True) if any(each.out_features > total for each in makers) else (False,)
    for heads, width in _views(traced.flow, makers, total):
        for own in dict.fromkeys(((), vectors)):
            for order in orders:
                for numbers in _counting(traced, layers, heads, width, total):
                    yield Layout(width=width, numbers=numbers, reader=name, interleaved=order, vectors=own)
    for numbers in _counting(traced, layers, total, 1, total):
        yield Layout(numbers=numbers, reader=name)


def _vectors(traced: Traced, layers: Sequence[nn.Module], total: int) -> Iterator[tuple[str, str]]:
    """Yield the parameters that owners of ``layers`` have of their own beside them, such as biases, of that length."""
    for owner in dict.fromkeys(traced.names[layer].rpartition(".")[0] for layer in layers):
        parameters = traced.body.get_submodule(owner).named_parameters(recurse=False)
        yield from ((owner, key) for key, parameter in parameters if parameter.shape == (total,))


def _sliced(traced: Traced, name: str, layout: Layout, numbers: tuple[Number, ...]) -> SlicedGroup:
    reader = traced.body.get_submodule(layout.reader)
    assert isinstance(reader, nn.Linear)
    count = reader.in_features // layout.width
    places = torch.arange(count).repeat_interleave(layout.width)
    slices = [inputs_of(reader, places)]
    slices += [Slice(traced.body.get_submodule(owner), key, 0, places) for owner, key in layout.vectors]
    for layer, readers in traced.flow.readers.items():
        if reader in readers:
            assert isinstance(layer, nn.Linear)
            times = layer.out_features // reader.in_features
            made = places.repeat_interleave(times) if layout.interleaved else places.repeat(times)
            slices += outputs_of(layer, made)
    noun = "heads" if layout.width > 1 else "channels"
    return SlicedGroup(
        name=name, num_channels=count, width=layout.width, noun=noun, slices=tuple(slices), numbers=numbers
    )


def _layers_of(traced: Traced, name: str, layout: Layout) -> list[nn.Module]:
    if not layout.reader:
        return [traced.body.get_submodule(name)]
    reader = traced.body.get_submodule(layout.reader)
    return [layer for layer, readers in traced.flow.readers.items() if reader in readers]


def _cut_outputs(group: TracedGroup) -> list[nn.Module]:
    first = group.members[0].dep
    return [dep.target.module for dep, _ in group.members if dep.handler.__name__ == first.handler.__name__]


def _readers(traced: Traced, layer: nn.Module) -> list[nn.Module]:
    """Return what reads a recurrent layer, also behind layer norms, with these."""
    found: dict[nn.Module, None] = {}
    waiting = [layer]
    while waiting:
        for reader in traced.flow.readers.get(waiting.pop(), {}):
            if reader not in found and isinstance(reader, nn.LayerNorm):
                waiting.append(reader)
            found[reader] = None
    return list(found)


def _can_be_read(traced: Traced, layer: nn.RNNBase) -> bool:
    readers = _readers(traced, layer)
    fitting = all(isinstance(reader, nn.RNNBase | nn.LayerNorm | nn.Linear) for reader in readers)
    return fitting and bool(readers) and layer.proj_size == 0 and layer not in readers


def _reason(traced: Traced, name: str) -> str:
    layer = traced.body.get_submodule(name)
    if isinstance(layer, nn.RNNBase):
        readers = ", ".join(traced.names[reader] for reader in _readers(traced, layer)) or "nothing"
        return f"{readers} reads its units in a way that is not known for one unit alone"
    shapes = [shape for shape in traced.flow.shapes.get(layer, ()) if len(shape) > 3]
    viewed = f", viewed as {list(shapes[0])}" if shapes else ""
    return f"neither single channels nor whole heads of it can go{viewed}: the rest would compute something else"


def _named(traced: Traced, group: TracedGroup) -> tuple[tuple[str, str, int], ...]:
    return tuple((traced.names[module], key, each) for module, key, each in group.numbers)


def _holds(traced: Traced, groups: Sequence[ChannelGroup]) -> bool:
    """Return whether each of ``groups`` can lose a channel, all of them at once, with all else as it was."""
    body = traced.body

    def change() -> None:
        for number, group in enumerate(groups):
            count = group.num_channels // group.parts
            place = (count // 2 + number) % count  # another of each: tensors that are one would hide that they are
            group.remove([[place]] * group.num_sets)

    if any(group.num_channels // group.parts < 2 or group.num_channels % group.parts for group in groups):
        return False
    return is_whole(body, change, traced.inputs, traced.graph.restored)
