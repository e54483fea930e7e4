"""Which layers read what others make, and in which shapes that is viewed on its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from thresher.adapters.torch import Shape, shapes_made


@dataclass
class DataFlow:
    """What one call of a body shows.

    Attributes:
        readers: layer -> the layers that are given what it makes, with no layer with weights between; a number for a
            layer that is given all of it is not kept.
        shapes: layer -> the shapes that what it makes has on its way to them.
    """

    readers: dict[nn.Module, dict[nn.Module, None]] = field(default_factory=dict)
    shapes: dict[nn.Module, dict[Shape, None]] = field(default_factory=dict)


def trace_data_flow(body: nn.Module, inputs: tuple[torch.Tensor, ...]) -> DataFlow:
    """Call ``body`` and follow its gradients' graph back from each layer of torch with weights to those before it."""
    flow = DataFlow()
    made: dict[Any, nn.Module] = {}
    handles = []

    def note(layer: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        starts = [tensor.grad_fn for tensor in _tensors((args, kwargs)) if tensor.grad_fn is not None]
        for start in starts:
            _follow_back(start, layer, made, flow)
        ends = [tensor.grad_fn for tensor in _tensors(output) if tensor.grad_fn is not None]
        made.update(dict.fromkeys([*ends, *_within(ends, starts)], layer))

    for layer in body.modules():
        if any(True for _ in layer.parameters(recurse=False)) and type(layer).__module__.startswith("torch."):
            handles.append(layer.register_forward_hook(note, with_kwargs=True))
    try:
        with torch.enable_grad():
            body(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return flow


def _within(ends: list[Any], starts: list[Any]) -> set[Any]:
    """Return the steps of a layer itself: where what it makes is changed in place, the last of them is passed over."""
    found: set[Any] = set()
    waiting = list(ends)
    while waiting:
        step = waiting.pop()
        if step is not None and step not in found and step not in starts and not hasattr(step, "variable"):
            found.add(step)
            waiting += [before for before, _ in step.next_functions]
    return found


def _follow_back(start: Any, reader: nn.Module, made: dict[Any, nn.Module], flow: DataFlow) -> None:
    waiting: list[tuple[Any, tuple[Shape, ...]]] = [(start, ())]
    seen = set()
    while waiting:
        step, passed = waiting.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        if (maker := made.get(step)) is not None:
            flow.readers.setdefault(maker, {})[reader] = None
            flow.shapes.setdefault(maker, {}).update(dict.fromkeys(passed))
            continue
        shapes = shapes_made(step)
        waiting += [(before, (*passed, *shapes)) for before, _ in step.next_functions]


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, dict):
        yield from _tensors(tuple(given.values()))
    elif isinstance(given, tuple | list):
        for each in given:
            yield from _tensors(each)
