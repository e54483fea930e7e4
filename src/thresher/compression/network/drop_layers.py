"""Depth: whole blocks of a network go, such as the layers of a Transformer."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from thresher.compression.data import CompressionData
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.events import Step, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from thresher.compression.network.block_lists import Block
    from thresher.models.network import Network

SAMPLES, BATCH = 512, 64
"""Samples of the training split that changes are measured on, and of the validation split that losses are."""


class DropLayers(KindConfig):
    """Remove whole blocks, such as the layers of a Transformer or the residual blocks of a ResNet.

    A block can go where what it makes has the shape of what it is given, so that the next one can read that instead.
    """

    kind: Literal["drop_layers"] = "drop_layers"
    keep: int = Field(ge=1, le=1000)
    """How many blocks are left, fewer than there are. Those that change the shape of what they are given stay."""
    by: Literal["change", "loss", "even"] = "change"
    """Which go. change: those that turn their vectors least, by the cosine of what a block is given and what it makes
    of it. loss: one after another, the one without which the validation loss is least. even: those that are left lie
    as far apart as can be, the first and the last among them."""


def drop_layers(network: Network, config: DropLayers, data: CompressionData) -> Network:
    """Return a copy of ``network`` with `keep` blocks.

    Raises:
        CompressionError: a network without blocks that can go, or with no more than `keep`, or too many that must stay.
    """
    blocks = _find_blocks(network, data.candidate)
    allowed = _depths(blocks)
    if config.keep not in allowed[:-1]:
        names = ", ".join(block.name for block in blocks if not block.can_go)
        stay = f", of which {names} must stay" if names else ""
        raise CompressionError(
            f"{data.candidate}: drop_layers.keep is {config.keep}, and this network has {len(blocks)} blocks{stay}. "
            f"Allowed: {allowed[0]} to {allowed[-2]}."
        )
    gone = _choose(network, blocks, config, data)
    shorter = _without(network, gone)
    left = [block.name for block in blocks if block not in gone]
    emit(Step(f"drop_layers keeps {config.keep} of {len(blocks)} blocks: {', '.join(left)}"))
    return shorter


def find_depths(network: Network, candidate: str) -> range:
    """Return how many blocks may be left of ``network``, all of them included; raises as `drop_layers` does."""
    return _depths(_find_blocks(network, candidate))


def _find_blocks(network: Network, candidate: str) -> list[Block]:
    from thresher.compression.network.block_lists import find_blocks

    blocks = find_blocks(network)
    if not any(block.can_go for block in blocks):
        raise CompressionError(
            f"{candidate}: drop_layers: a {network.spec.model.kind} has no blocks that can go whole. "
            "Use prune_channels."
        )
    return blocks


def _depths(blocks: Sequence[Block]) -> range:
    return range(max(1, sum(not block.can_go for block in blocks)), len(blocks) + 1)


def _choose(network: Network, blocks: Sequence[Block], config: DropLayers, data: CompressionData) -> list[Block]:
    """Return the blocks that go."""
    count, able = len(blocks) - config.keep, [block for block in blocks if block.can_go]
    if config.by == "even":
        stay = config.keep - (len(blocks) - len(able))
        kept = {able[place] for place in np.linspace(0, len(able) - 1, stay).round().astype(int)}
        return [block for block in able if block not in kept]
    if config.by == "loss":
        return _least_missed(network, able, count, data)
    from thresher.compression.network.block_lists import measure_changes
    from thresher.training.batches import load_batches

    samples = data.training_samples.draw(SAMPLES, data.training.seed)
    batches = load_batches(samples, network.spec, _cpu()).in_slices(BATCH)
    names = [block.name for block in able]
    changes = measure_changes(copy.deepcopy(network), names, [batch.inputs for batch in batches])
    emit(Step("drop_layers: changes " + ", ".join(f"{name} {changes[name]:.4f}" for name in names)))
    return sorted(able, key=lambda block: changes[block.name])[:count]


def _least_missed(network: Network, able: list[Block], count: int, data: CompressionData) -> list[Block]:
    """Return the ``count`` blocks that go one after another, each the one whose lack costs least then."""
    from thresher.training.validation import evaluate_network

    samples = data.validation_samples.draw(SAMPLES, data.training.seed)
    gone: list[Block] = []
    for _ in range(count):
        losses = {
            block: evaluate_network(_without(network, [*gone, block]), samples, _cpu())[0]
            for block in able
            if block not in gone
        }
        gone.append(min(losses, key=lambda block: losses[block]))
        emit(Step(f"drop_layers: without {gone[-1].name} the validation loss is {losses[gone[-1]]:.4f}"))
    return gone


def _without(network: Network, gone: Sequence[Block]) -> Network:
    """Return a copy of ``network`` without these blocks, which can be rebuilt from its spec."""
    from thresher.models.blocks import keep_blocks, rename

    shorter = copy.deepcopy(network).eval()
    spec, kept, built = network.spec, {}, dict(network.spec.blocks)
    for owner in dict.fromkeys(block.owner for block in gone):
        total = len(list(shorter.body.get_submodule(owner).children()))
        absent = {block.place for block in gone if block.owner == owner}
        kept[owner] = tuple(place for place in range(total) if place not in absent)
        before = built.get(owner, tuple(range(total)))
        built[owner] = tuple(before[place] for place in kept[owner])
    keep_blocks(shorter.body, kept)
    ranks = {new: rank for name, rank in spec.ranks.items() if (new := rename(name, kept)) is not None}
    shorter.spec = spec.model_copy(update={"blocks": built, "ranks": ranks})
    shorter.spec = shorter.spec.model_copy(update={"channel_plan": shorter.channel_plan()})
    return shorter


def _cpu() -> torch.device:
    import torch

    return torch.device("cpu")
