"""Torch-Pruning: its graph undone after removals, and what it cuts of recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


def modules_of(graph: Any) -> list[nn.Module]:
    """Return the modules that ``graph``, a DependencyGraph, has found; none where it was not built to the end."""
    return [module for module in getattr(graph, "module2node", {}) if not isinstance(module, nn.Parameter)]


@contextmanager
def restored(graph: Any) -> Iterator[None]:
    """Undo in the end what removals inside change in ``graph`` itself: it replaces parameters by smaller ones."""
    nodes, names = dict(getattr(graph, "module2node", {})), dict(getattr(graph, "_param_to_name", {}))
    modules = [(node, node.module) for node in nodes.values()]
    try:
        yield
    finally:
        graph.module2node, graph._param_to_name = nodes, names
        for node, module in modules:
            node.module = module


def recurrent_pruner() -> Any:
    """Return what cuts the inputs of a recurrent layer, and refuses to cut its outputs: those are gates and sets."""
    from torch_pruning import BasePruningFunc
    from torch_pruning.pruner.function import LSTMPruner

    class RecurrentPruner(BasePruningFunc):  # type: ignore[misc]  # Torch-Pruning has no types
        def prune_out_channels(self, layer: nn.RNNBase, idxs: Any) -> None:
            raise NotImplementedError("units of a recurrent layer go by its own group")

        def prune_in_channels(self, layer: nn.RNNBase, idxs: Any) -> None:
            LSTMPruner().prune_in_channels(layer, idxs)

        def get_out_channels(self, layer: nn.RNNBase) -> int:
            return layer.hidden_size * (2 if layer.bidirectional else 1)

        def get_in_channels(self, layer: nn.RNNBase) -> int:
            return layer.input_size

    return RecurrentPruner()
