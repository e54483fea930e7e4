"""Which numbers of each tensor a removal of channels leaves, and the proof that it removes what it says and no more.

Channels that are removed must be channels of which nothing is left: a network without them answers as the whole one
does with zeros in their place. Whatever scrambles the network's structure on the way (heads of attention that are cut
unevenly and viewed anew, gates that no longer meet what they gate) breaks that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from thresher.compression.network.count_free_norms import CountFreeNorms

Kept = dict[str, torch.Tensor]
"""Tensor -> the places of the whole tensor that are left, int64, in the shape of the smaller one."""
Remove = Callable[[], None]
TOLERANCE = 1e-3
"""Share of the largest answer: float32 sums in another order are off by far less, a scrambled head by far more."""


class StructureError(Exception):
    """A removal that would change what the rest of the network computes."""


def named_tensors(body: nn.Module) -> dict[str, torch.Tensor]:
    """Return all parameters and buffers but those of bools, tied ones under each of their names."""
    tensors = {
        **dict(body.named_parameters(remove_duplicate=False)),
        **dict(body.named_buffers(remove_duplicate=False)),
    }
    return {name: tensor for name, tensor in tensors.items() if tensor.dtype != torch.bool}


def remove(body: nn.Module, change: Remove) -> Kept:
    """Let ``change`` remove channels from ``body`` in place; return what is left of each tensor.

    Raises:
        StructureError: it removes different channels from tensors that are one.
    """
    body.zero_grad(set_to_none=True)
    before = named_tensors(body)
    values = {id(tensor): tensor.detach().clone() for tensor in before.values()}
    _put_places(before.values())
    change()
    kept = {name: tensor.detach().long() for name, tensor in named_tensors(body).items()}
    _gather(body, before, values, kept)
    return kept


def check_removal(whole: nn.Module, kept: Kept, smaller: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Check that ``smaller``, of which ``kept`` is left, is ``whole`` with zeros in place of what is gone.

    Both are given random weights, since small or regular ones hide what is scrambled, and norms that do not count their
    channels. Both are spoilt by it: give copies.

    Args:
        inputs: what the body is called with.

    Raises:
        StructureError: it is not, or cannot be called.
    """
    draw_weights(whole)
    tensors = named_tensors(whole)
    _gather(smaller, tensors, {id(tensor): tensor.detach().clone() for tensor in tensors.values()}, kept)
    _put_zeros(whole, kept)
    try:
        got = answer(smaller, inputs)
    except Exception as error:  # a network that was cut wrongly raises whatever it stumbles on
        raise StructureError(f"what is left cannot be computed ({error})") from error
    expected = answer(whole, inputs)
    if not _alike(got, expected):
        raise StructureError("what is left would compute something else")


def is_whole(
    body: nn.Module,
    change: Remove,
    inputs: tuple[torch.Tensor, ...],
    around: Callable[[], AbstractContextManager[None]],
) -> bool:
    """Return whether ``body`` without what ``change`` removes is ``body`` with zeros there; it is left as it was.

    Args:
        body: of random weights.
        around: what else must be put back.
    """
    try:
        with restored(body), around():
            kept = remove(body, change)
            got = answer(body, inputs)
    except Exception:  # a network that was cut wrongly raises whatever it stumbles on
        return False
    with restored(body):
        _put_zeros(body, kept)
        expected = answer(body, inputs)
    return _alike(got, expected)


def draw_weights(body: nn.Module) -> None:
    """Give all parameters random values, those of matrices and kernels by their number of inputs."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in body.modules():
            own = isinstance(module, nn.Embedding) or not type(module).__module__.startswith("torch.")
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.ndim < 2 and "bias" in name:
                    parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
                elif parameter.ndim < 2:
                    parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator))
                else:
                    std = 1.0 if own else (parameter.numel() / len(parameter)) ** -0.5
                    parameter.copy_(std * torch.randn(parameter.shape, generator=generator))


@torch.no_grad()
def answer(body: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Return what each layer with weights of ``body`` makes, then its answer; norms do not count their channels."""
    made: list[torch.Tensor] = []

    def keep(layer: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            made.append(output)

    layers = [module for module in body.modules() if any(True for _ in module.parameters(recurse=False))]
    handles = [layer.register_forward_hook(keep) for layer in layers]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it would compute norms on its own
    try:
        with CountFreeNorms():
            made.append(body.eval()(*inputs))
    finally:
        for handle in handles:
            handle.remove()
        torch.backends.mha.set_fastpath_enabled(fast)
    return made


@contextmanager
def with_attributes(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Give ``modules`` their attributes back in the end, whatever is done to them inside."""
    before = [(module, copy_attributes(vars(module))) for module in modules]
    try:
        yield
    finally:
        for module, attributes in before:
            vars(module).clear()
            vars(module).update(attributes)


@contextmanager
def restored(body: nn.Module) -> Iterator[None]:
    """Give ``body`` its tensors and attributes back in the end, whatever is done to them inside."""
    values = {tensor: tensor.detach().clone() for tensor in named_tensors(body).values()}
    try:
        with with_attributes(body.modules()):
            yield
    finally:
        for tensor, value in values.items():
            tensor.data = value


def copy_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``attributes`` with containers of their own, down to one level."""
    return {key: value.copy() if isinstance(value, dict | list | set) else value for key, value in attributes.items()}


def _put_zeros(body: nn.Module, kept: Kept) -> None:
    """Put zeros in place of all weights that are not ``kept``."""
    for name, parameter in body.named_parameters():
        mask = torch.zeros_like(parameter).flatten()
        mask[kept[name].flatten()] = 1
        parameter.data.mul_(mask.reshape(parameter.shape))


def _put_places(tensors: Iterable[torch.Tensor]) -> None:
    """Have ``tensors`` hold the places of their own values."""
    for tensor in {id(tensor): tensor for tensor in tensors}.values():
        dtype = torch.float64 if tensor.is_floating_point() else tensor.dtype
        tensor.data = torch.arange(tensor.numel(), dtype=dtype).reshape(tensor.shape)


def _gather(body: nn.Module, before: dict[str, torch.Tensor], values: dict[int, torch.Tensor], kept: Kept) -> None:
    """Give the tensors of ``body`` those of ``values`` (by the ids of the tensors ``before``) that are ``kept``."""
    made: dict[int, tuple[torch.Tensor, str]] = {}
    for name, places in kept.items():
        old = before[name]
        if id(old) in made:
            new, twin = made[id(old)]
            if not torch.equal(kept[twin], places):
                raise StructureError(f"{twin} and {name} are one tensor, and would lose different channels")
        else:
            new = values[id(old)].flatten()[places.flatten()].reshape(places.shape)
            if isinstance(old, nn.Parameter):
                new = nn.Parameter(new, old.requires_grad)
            made[id(old)] = new, name
        owner, _, key = name.rpartition(".")
        setattr(body.get_submodule(owner), key, new)


def _alike(got: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    """Return whether the answers agree, and on the way to them all that is as wide as it was."""
    if len(got) != len(expected) or got[-1].shape != expected[-1].shape:
        return False
    for one, other in zip(got, expected, strict=True):
        if one.shape == other.shape:
            difference, largest = (one - other).abs().max(), other.abs().max()
            if not (torch.isfinite(largest) and difference <= TOLERANCE * largest):
                return False
    return True
