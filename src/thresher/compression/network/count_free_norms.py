"""Norms over channels that do not depend on how many there are: those at zero may be there or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

SCALE = 4.0
"""What the norm of a vector becomes, about as long as one of 16 standardized values."""


class CountFreeNorms(TorchFunctionMode):
    """Meanwhile layer, group and RMS norms divide by the root of the sum of squares, not of their mean.

    Means, variances and deviations over the channels alone, of which own norms are made, are 0 and 1.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return REPLACED.get(func, func)(*args, **(kwargs or {}))


def _layer_norm(
    x: torch.Tensor, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> torch.Tensor:
    axes = tuple(range(-len(normalized_shape), 0))
    out = _scaled(x, axes)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _group_norm(
    x: torch.Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> torch.Tensor:
    if x.shape[1] % num_groups:
        raise ValueError(f"{x.shape[1]} channels cannot be divided into {num_groups} groups")
    out = _scaled(x.unflatten(1, (num_groups, -1)), tuple(range(2, x.ndim + 1))).reshape(x.shape)
    shape = (-1, *[1] * (x.ndim - 2))
    out = out if weight is None else out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape)


def _rms_norm(
    x: torch.Tensor, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None
) -> torch.Tensor:
    return _layer_norm(x, normalized_shape, weight)


def _scaled(x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    return x * (SCALE * (x.square().sum(axes, keepdim=True) + 1).rsqrt())


def _constant(func: Callable[..., torch.Tensor], value: float) -> Callable[..., torch.Tensor]:
    """Return ``func`` but over channels alone, of which it is ``value`` then."""

    def replaced(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        out = func(x, *args, **kwargs)
        axis = kwargs.get("dim", args[0] if args else None)
        (axis,) = axis if isinstance(axis, tuple | list) and len(axis) == 1 else (axis,)
        keeps = out.ndim == x.ndim
        over_channels = isinstance(axis, int) and (axis in (-1, x.ndim - 1) or (axis == 1 and x.ndim == 4))
        return torch.full_like(out, value) if keeps and over_channels and not isinstance(axis, bool) else out

    return replaced


REPLACED: dict[Any, Callable[..., Any]] = {
    F.layer_norm: _layer_norm,
    F.group_norm: _group_norm,
    F.rms_norm: _rms_norm,
    **{func: _constant(func, 0.0) for func in (torch.mean, torch.Tensor.mean)},
    **{func: _constant(func, 1.0) for func in (torch.var, torch.Tensor.var, torch.std, torch.Tensor.std)},
}
