"""Which layers lose channels together: Torch-Pruning's dependency graph, by the names of the layers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from thresher.adapters.torch_pruning import modules_of, recurrent_pruner, restored
from thresher.compression.network.channel_group import ChannelGroup
from thresher.compression.network.importance import Measure
from thresher.compression.network.removal import StructureError, with_attributes

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
ROOTS = (*CONVOLUTIONS, nn.Linear)
READS = "prune_in_channels"
"""What cuts the inputs of a layer is called so, of every type of layer."""


@dataclass(frozen=True, kw_only=True)
class TracedGroup(ChannelGroup):
    """A group that Torch-Pruning found.

    Attributes:
        members: Torch-Pruning's own group of all channels.
        graph: its graph of the network.
    """

    members: Any
    graph: Any

    def scores(self, measure: Measure) -> torch.Tensor:
        """Return [1, num_channels / parts]: of channels that go together, their mean.

        Those of a group that ``measure`` knows nothing of, such as one without a norm, are equal.
        """
        total = self.num_channels * self.width
        with self._makers_silent() if measure.of_readers else nullcontext():
            scored = measure.of_traced(self.members)
        scored = torch.ones(total) if scored is None else scored.detach().cpu()
        return scored[:total].reshape(1, self.parts, -1, self.width).mean(dim=(1, 3))

    @contextmanager
    def _makers_silent(self) -> Iterator[None]:
        """Take the gradients of layers that make the channels, and read none of them, for 0 meanwhile."""
        readers = {member.dep.target.module for member in self.members if member.dep.handler.__name__ == READS}
        weights = [getattr(layer, "weight", None) for layer in self.layers if layer not in readers]
        before = [(weight, weight.grad) for weight in weights if weight is not None and weight.grad is not None]
        for weight, grad in before:
            weight.grad = torch.zeros_like(grad)
        try:
            yield
        finally:
            for weight, grad in before:
                weight.grad = grad

    def _cut(self, places: list[list[int]]) -> None:
        """Remove the channels at ``places`` of every block."""
        (gone,), size = places, self.num_channels * self.width // self.parts
        first = self.members[0].dep
        everywhere = sorted(
            block * size + place * self.width + value
            for block in range(self.parts)
            for place in gone
            for value in range(self.width)
        )
        before = self.graph.get_out_channels(first.target.module)
        self.graph.get_pruning_group(first.target.module, first.handler, everywhere).prune()
        if self.graph.get_out_channels(first.target.module) != before - len(everywhere):
            raise StructureError(f"{self.name} loses more channels than were to go")

    @property
    def layers(self) -> list[nn.Module]:
        """The layers of the network among its members, each once."""
        modules = [dep.target.module for dep, _ in self.members]
        known = set(self.graph.model.modules())
        return list(dict.fromkeys(module for module in modules if isinstance(module, nn.Module) and module in known))


class TracedGraph:
    """Torch-Pruning's graph of a body, and the groups in it."""

    def __init__(self, body: nn.Module, inputs: tuple[torch.Tensor, ...], ignored: list[nn.Module]) -> None:
        """Trace ``body``.

        Args:
            ignored: layers whose outputs are left as they are, with all that depends on them.

        Source: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, as Torch-Pruning implements it.
        """
        from torch_pruning import DependencyGraph

        self._names = {module: name for name, module in body.named_modules()}
        self.groups: list[TracedGroup] = []
        self.problem = ""
        """Why there are no groups, where the graph cannot be followed."""
        self._graph: Any = DependencyGraph()
        recurrent = dict.fromkeys((nn.LSTM, nn.GRU, nn.RNN), recurrent_pruner())
        with warnings.catch_warnings(), _short_recurrences(body):
            warnings.simplefilter("ignore")  # of parameters that hang on no layer: what it does is checked
            try:
                self._graph.build_dependency(body, example_inputs=inputs, customized_pruners=recurrent, verbose=False)
                found = self._graph.get_all_groups(ignored_layers=ignored, root_module_types=ROOTS)
                self.groups = [self._describe(members) for members in found]
            except Exception as error:  # of a body that it does not understand, it raises whatever it stumbles on
                self.problem = f"{type(error).__name__}: {error}"

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Undo in the end what removals inside change in the graph itself."""
        with restored(self._graph), with_attributes(modules_of(self._graph)):
            yield

    def _describe(self, members: Any) -> TracedGroup:
        module, places = members[0].dep.target.module, members[0].idxs
        norms = [dep.target.module for dep, _ in members if isinstance(dep.target.module, nn.GroupNorm)]
        single = [norm for norm in dict.fromkeys(norms) if norm.num_groups == norm.num_channels]
        parts = math.lcm(self._bound(members), *(_parts(dep.target.module, len(each)) for dep, each in members))
        return TracedGroup(
            name=self._names[module],
            num_channels=len(places),
            parts=parts,
            members=members,
            graph=self._graph,
            convolves=isinstance(module, CONVOLUTIONS),
            numbers=tuple((norm, "num_groups", 1) for norm in single),
        )

    def _bound(self, members: Any) -> int:
        """Return how many outputs of the first layer go together, at equal distances, such as a gate and its unit."""
        first, total = members[0].dep, len(members[0].idxs)
        together = self._graph.get_pruning_group(first.target.module, first.handler, [0])[0].idxs
        evenly = sorted(together) == list(range(0, total, max(1, total // len(together))))
        return len(together) if evenly else 1


def _parts(module: Any, count: int) -> int:
    """Return how many blocks of ``count`` channels a layer keeps apart; one that keeps all apart counts as one."""
    if isinstance(module, nn.GroupNorm):
        return (
            1 if module.num_groups == module.num_channels else max(1, module.num_groups * count // module.num_channels)
        )
    groups = int(getattr(module, "groups", 1))
    return 1 if groups == getattr(module, "out_channels", None) else groups


@contextmanager
def _short_recurrences(body: nn.Module) -> Iterator[None]:
    """Have recurrent layers answer in one step meanwhile: to follow all steps of a long text takes minutes."""
    layers = [module for module in body.modules() if isinstance(module, nn.RNNBase)]
    for layer in layers:
        layer.forward = partial(_in_one_step, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _in_one_step(layer: nn.RNNBase, given: Any, state: Any = None) -> tuple[Any, Any]:
    """Return tensors of the shapes that ``layer`` answers with, which depend on all that it is given."""
    directions = 2 if layer.bidirectional else 1
    data = given.data if isinstance(given, PackedSequence) else given
    every = data.mean(dim=-1, keepdim=True) * data.new_ones(directions * (layer.proj_size or layer.hidden_size))
    batch = () if data.ndim == 2 and not isinstance(given, PackedSequence) else (_batch_of(layer, given),)
    ones = data.new_ones(layer.num_layers * directions, *batch, layer.proj_size or layer.hidden_size)
    last = every.mean() * ones
    answer = given._replace(data=every) if isinstance(given, PackedSequence) else every
    cell = every.mean() * data.new_ones(*ones.shape[:-1], layer.hidden_size)
    return answer, (last, cell) if isinstance(layer, nn.LSTM) else last


def _batch_of(layer: nn.RNNBase, given: Any) -> int:
    if isinstance(given, PackedSequence):
        return int(given.batch_sizes[0])
    return int(given.shape[0 if layer.batch_first else 1])
