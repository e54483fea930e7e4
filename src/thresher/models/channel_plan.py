"""What pruning changed in a network: the shapes of its tensors and the numbers that its modules keep of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

Width = Annotated[int, Field(ge=1)]
ChannelPlan = dict[str, dict[str, Width | tuple[Annotated[int, Field(ge=0)], ...]]]
"""Module -> name of a tensor or attribute of its own -> the tensor's shape, or the attribute's value."""


def read_channel_plan(body: nn.Module, fresh: nn.Module) -> ChannelPlan:
    """Return in what ``body`` differs from ``fresh``, which its settings build: whatever its modules are.

    Compared are the shapes of all parameters and buffers, and the attributes that are whole numbers or tuples of them.
    """
    plan: ChannelPlan = {}
    built = dict(fresh.named_modules())
    for name, module in body.named_modules():
        before = dict(_sizes(built[name])) if name in built else None
        # Of a module that the settings do not build, all counts: it is not rebuilt without a word.
        changed = {key: size for key, size in _sizes(module) if before is None or before.get(key, size) != size}
        if changed:
            plan[name] = changed
    return plan


def apply_channel_plan(body: nn.Module, plan: ChannelPlan) -> None:
    """Give the modules of ``body`` what ``plan`` says, with empty tensors to be loaded into; tied ones stay tied.

    Raises:
        ValueError: a tensor or attribute that the module does not have.
    """
    replaced: dict[int, torch.Tensor] = {}
    old_tensors = []  # kept alive, so that no id is given twice
    for name, sizes in plan.items():
        module = body.get_submodule(name)
        known = dict(_sizes(module))
        for key, size in sizes.items():
            if key not in known or isinstance(known[key], int) != isinstance(size, int):
                raise ValueError(f"{name or 'the network'} has no '{key}' of the size {size}")
            old = getattr(module, key)
            if not isinstance(old, torch.Tensor):
                setattr(module, key, size)
                continue
            old_tensors.append(old)
            if id(old) not in replaced:
                assert isinstance(size, tuple)
                new = torch.zeros(size, dtype=old.dtype)
                replaced[id(old)] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
            setattr(module, key, replaced[id(old)])


def _sizes(module: nn.Module) -> Iterator[tuple[str, int | tuple[int, ...]]]:
    for tensors in (module.named_parameters, module.named_buffers):
        yield from ((key, tuple(tensor.shape)) for key, tensor in tensors(recurse=False, remove_duplicate=False))
    for key, value in vars(module).items():
        if type(value) is int or (isinstance(value, tuple) and value and all(type(each) is int for each in value)):
            yield key, tuple(value) if isinstance(value, tuple) else value
