"""torch: what a node of the gradients' graph says of the tensors that it is the gradient of."""

from __future__ import annotations

from typing import Any

Shape = tuple[int, ...]


def shapes_made(step: Any) -> tuple[Shape, ...]:
    """Return the shapes of the tensors that the operation behind ``step``, a tensor's grad_fn, has made."""
    return tuple(tuple(map(int, made.shape)) for made in step._input_metadata)
