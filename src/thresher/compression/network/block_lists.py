"""The blocks of a network that may go whole, and how much each of them changes what it is given."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from thresher.compression.network.removal import draw_weights
from thresher.compression.network.structure import draw_inputs
from thresher.models.blocks import keep_blocks
from thresher.models.network import Network
from thresher.models.padding import mark_real

TOLERANCE = 1e-4
"""Share of the largest answer by which a network without a block may differ from one that passes over it."""


@dataclass(frozen=True)
class Block:
    """A block of a network.

    Attributes:
        owner: the list that it stands in.
        place: where.
        can_go: whether the network without it is the network that hands on what this block is given.
    """

    owner: str
    place: int
    can_go: bool

    @property
    def name(self) -> str:
        """What torch calls it."""
        return f"{self.owner}.{self.place}" if self.owner else str(self.place)


def find_blocks(network: Network) -> list[Block]:
    """Return the blocks of ``network``: modules of one class in an nn.ModuleList or nn.Sequential, of several layers.

    Lists within a list of which blocks can go are left out. Nothing is read off names: each block is tried, with random
    weights.
    """
    body, inputs = copy.deepcopy(network.body).eval(), draw_inputs(network)
    draw_weights(body)
    found: list[Block] = []
    for owner, modules in body.named_modules():
        inside = any(block.can_go and f".{owner}.".startswith(f".{block.owner}.".replace("..", ".")) for block in found)
        if not inside and isinstance(modules, nn.ModuleList | nn.Sequential):
            for place in _alike(modules):
                found.append(Block(owner, place, _can_go(body, owner, place, inputs)))
    return found


def _alike(modules: nn.ModuleList | nn.Sequential) -> list[int]:
    """Return the places of those modules of several layers of which there are others of the same class."""
    numbered = [name for name, _ in modules.named_children()] == list(map(str, range(len(modules))))
    kinds = [type(module) for module in modules]
    several = [sum(1 for part in module.modules() if any(True for _ in part.parameters(recurse=False))) > 1
               for module in modules]  # fmt: skip
    return [place for place, kind in enumerate(kinds) if numbered and several[place] and kinds.count(kind) > 1]


@torch.no_grad()
def _can_go(body: nn.Module, owner: str, place: int, inputs: tuple[torch.Tensor, ...]) -> bool:
    shorter = copy.deepcopy(body)
    modules: Any = shorter.get_submodule(owner)
    keep_blocks(shorter, {owner: [each for each in range(len(modules)) if each != place]})
    try:
        got = shorter(*inputs)
        with passed_over(body.get_submodule(f"{owner}.{place}".removeprefix("."))):
            expected = body(*inputs)
    except Exception:  # a network without one of its parts raises whatever it stumbles on
        return False
    alike = got.shape == expected.shape and bool(torch.isfinite(expected).all())
    return alike and bool((got - expected).abs().max() <= TOLERANCE * expected.abs().max())


@contextmanager
def passed_over(block: nn.Module) -> Iterator[None]:
    """Have ``block`` hand on what it is given meanwhile; raises a ValueError in a call where that has another shape."""

    def hand_on(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        given, made = _first((*args, *kwargs.values())), _first(output)
        if given.shape != made.shape:
            raise ValueError("what the block makes has another shape than what it is given")
        return given if isinstance(output, torch.Tensor) else type(output)((given, *output[1:]))

    handle = block.register_forward_hook(hand_on, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _first(given: Any) -> torch.Tensor:
    if isinstance(given, torch.Tensor):
        return given
    return next(each for each in given if isinstance(each, torch.Tensor))


@torch.inference_mode()
def measure_changes(network: Network, names: Sequence[str], batches: Sequence[torch.Tensor]) -> Mapping[str, float]:
    """Return block -> 1 - the cosine of a vector before and after it, the mean over all vectors that are not padding.

    Source: Men et al., "ShortGPT: Layers in Large Language Models are More Redundant Than You Expect", 2024 (Block
    Influence).

    Args:
        batches: encoded samples.
    """
    sums = {name: torch.zeros(2, dtype=torch.float64) for name in names}
    real: list[torch.Tensor | None] = [None]

    def watch(name: str) -> Any:
        def note(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            before, after = _first((*args, *kwargs.values())), _first(output)
            cosines = F.cosine_similarity(before.double(), after.double(), dim=1 if before.ndim == 4 else -1)
            weights = torch.ones_like(cosines) if real[0] is None else real[0].expand_as(cosines).double()
            sums[name] += torch.stack([((1 - cosines) * weights).sum(), weights.sum()])

        return note

    body = network.eval().body
    handles = [body.get_submodule(name).register_forward_hook(watch(name), with_kwargs=True) for name in names]
    try:
        for encoded in batches:
            prepared = network.prepare(encoded)
            real[0] = mark_real(prepared)
            body(*prepared)
    finally:
        for handle in handles:
            handle.remove()
    return {name: float(changed / count) for name, (changed, count) in sums.items()}
