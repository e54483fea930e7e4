"""torch: the tensors behind a node of the gradients' graph, and the operators that its ONNX exporter knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

Shape = tuple[int, ...]


def shapes_made(step: Any) -> tuple[Shape, ...]:
    """Return the shapes of the tensors that the operation behind ``step``, a tensor's grad_fn, has made."""
    return tuple(tuple(map(int, made.shape)) for made in step._input_metadata)


@contextmanager
def operators_kept() -> Iterator[None]:
    """Let exports in the block share the table of operators, which torch makes anew for each: most of a short export.

    To be entered by one thread at a time.
    """
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    made = ONNXRegistry.__dict__["from_torchlib"]
    ONNXRegistry.from_torchlib = partial(_operators, ONNXRegistry.from_torchlib)  # type: ignore[method-assign]
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = made  # type: ignore[method-assign]


@cache
def _operators(make: Callable[..., Any], opset_version: int) -> Any:
    return make(opset_version=opset_version)
