"""Structured pruning: whole channels go, so that the file is smaller and the sums are fewer."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from thresher.compression import ImportanceKind
from thresher.compression.data import CompressionData
from thresher.compression.layer_names import match_values
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.importance import build_importance
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.events import Step, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from thresher.compression.network.channel_group import ChannelGroup
    from thresher.models.network import Network

ALIGNED = ((32, 8), (8, 4))
"""Channels that a convolution has, and the multiple that auto keeps of as many or more. ONNX Runtime computes blocks of
channels: of a ResNet-20 on CIFAR-10, whole 697 us a call, 11, 22 and 44 channels took 756, and 12, 24 and 48 took 592
(1.31.1, AVX-512, time of the thread)."""
MIN_SHARE = 0.05
"""The share of a layer's channels that a global ranking leaves: an empty layer cuts the network in two."""


class PruneChannels(KindConfig):
    """Remove the least important channels of every layer, with all that depends on them.

    Channels are those of convolutions, the units of linear and recurrent layers, and the heads of attention.
    """

    kind: Literal["prune_channels"] = "prune_channels"
    ratio: float = Field(default=0.0, ge=0, lt=1)
    """Share of each layer's channels to remove, rounded to whole ones; 0: only `ratios` counts."""
    ratios: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    """Layer -> its own share in place of `ratio`; 0 leaves it alone. In a name, * and ? stand for any letters; a name
    without them counts over one with."""
    importance: ImportanceKind = "l2"
    """l1, l2: norm of a channel's weights, over the layers that lose it together; taylor: the change of the training
    loss without it, to first order; activations: what other layers get of it, by its size on training samples and
    their weights; batch_norm: its scale there; random: the control."""
    scope: Literal["layer", "global"] = "layer"
    """layer: the same share everywhere; global: the least important of the whole network."""
    round_to: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = Field(default="auto", union_mode="left_to_right")
    """Keep a multiple of this many channels, where the hardware wants one; rounded up, so that no less is kept. A head
    counts as the channels that it is wide. auto: of convolutions, a multiple of 8 from 32 channels on and of 4 from 8
    on, with which they are computed faster; of all else any number."""
    iterations: int = Field(default=1, ge=1, le=1000)
    """The number of steps of equal size in which channels are removed."""
    between: Finetune | None = None
    """Training after each step but the last."""

    @model_validator(mode="after")
    def _fits_together(self) -> PruneChannels:
        if not any((self.ratio, *self.ratios.values())):
            raise ValueError("give ratio, or ratios of single layers: nothing would be removed")
        if self.between is not None and self.iterations == 1:
            raise ValueError("between needs iterations of 2 or more")
        if self.ratios and self.scope == "global":
            raise ValueError("ratios are of single layers; scope global ranks all together: give one of the two")
        return self


def prune_channels(network: Network, config: PruneChannels, data: CompressionData) -> Network:
    """Return a smaller copy of ``network`` as `remove_channels` does, and say what it keeps."""
    smaller = remove_channels(network, config, data)
    _describe_kept(network, smaller, config)
    return smaller


def remove_channels(network: Network, config: PruneChannels, data: CompressionData) -> Network:
    """Return a smaller copy of ``network``; its output layer keeps its width.

    Layers that depend on each other are found by Torch-Pruning's graph (Fang et al., "DepGraph: Towards Any Structural
    Pruning", CVPR 2023), in recurrent networks and Transformers by the shapes of their weights; which and how many
    channels go is decided here.

    Raises:
        CompressionError: a network without channels to prune, a ratio that removes nothing of it or would leave a layer
            empty, a name that no layer has, or batch_norm without one.
    """
    from thresher.compression.network.pruning_groups import prunable_groups, refused_groups

    smaller = copy.deepcopy(network).eval()
    first = prunable_groups(smaller)
    refused = refused_groups(smaller)
    config = config.model_copy(update={"ratios": _ratios(network, config, first, refused, data)})
    if refused:
        emit(Step(f"{config.kind} leaves alone: {_describe_refused(refused)}"))
    smaller = _prune_in_steps(smaller, config, first, data)
    if config.round_to == "auto" and smaller.spec.channel_plan == network.spec.channel_plan:
        emit(Step(f"{config.kind}: multiples of 4 and 8 would keep every channel; any number of them is kept instead"))
        config = config.model_copy(update={"round_to": 1})
        smaller = _prune_in_steps(copy.deepcopy(network).eval(), config, first, data)
    if smaller.spec.channel_plan == network.spec.channel_plan:
        raise CompressionError(
            f"{data.candidate}: prune_channels with ratio {config.ratio} removes no channel of this network. "
            "Raise ratio or lower round_to."
        )
    return smaller


def _prune_in_steps(smaller: Network, config: PruneChannels, first: dict[str, int], data: CompressionData) -> Network:
    """Return ``smaller`` after all iterations, trained between them."""
    for iteration in range(1, config.iterations + 1):
        smaller = _prune(smaller, config, iteration / config.iterations, first, data)
        if config.between is not None and iteration < config.iterations:
            smaller = finetune(smaller, config.between, data)
    return smaller


def _describe_kept(network: Network, smaller: Network, config: PruneChannels) -> None:
    """Report how many channels each layer has now, and which convolutions would be faster with a few more."""
    from thresher.compression.network.pruning_groups import find_groups, prunable_groups

    before = prunable_groups(copy.deepcopy(network))
    groups = sorted(find_groups(smaller), key=lambda group: group.name)
    kept = ", ".join(f"{group.num_channels} of {before[group.name]} of {group.name}" for group in groups)
    odd = [group.name for group in groups if group.convolves and group.num_channels % _aligned(before[group.name])]
    advice = f"; {', '.join(odd)} would be faster with multiples of 4 or 8, as round_to: auto keeps them" if odd else ""
    emit(Step(f"{config.kind} keeps {kept}{advice}"))


def _aligned(num_channels: int) -> int:
    """Return the multiple that a convolution of so many channels is fast with."""
    return next((multiple for least, multiple in ALIGNED if num_channels >= least), 1)


def _describe_refused(refused: dict[str, str]) -> str:
    return "; ".join(f"{name} ({reason})" for name, reason in refused.items())


def _ratios(
    network: Network, config: PruneChannels, first: dict[str, int], refused: dict[str, str], data: CompressionData
) -> dict[str, float]:
    """Return the layers that have a ratio of their own, by their full names."""
    if not first:
        why = f" ({_describe_refused(refused)})" if refused else ""
        raise CompressionError(
            f"{data.candidate}: prune_channels: a {network.spec.model.kind} has no channels that can be pruned{why}. "
            "Use prune_weights or quantize_dynamic."
        )
    if asked := {name: refused[name] for name in config.ratios.keys() & refused.keys()}:
        raise CompressionError(
            f"{data.candidate}: prune_channels.ratios: {_describe_refused(asked)}. Allowed: {', '.join(first)}."
        )
    return match_values(config.ratios, list(first), f"{data.candidate}: prune_channels.ratios")


def _prune(
    network: Network, config: PruneChannels, progress: float, first: dict[str, int], data: CompressionData
) -> Network:
    """Return a copy without the share ``progress`` of all channels that are to go in the end.

    Args:
        first: group -> its channels before anything was removed.
    """
    from thresher.compression.network.pruning_groups import find_groups, remove_groups
    from thresher.compression.network.removal import StructureError

    smaller = copy.deepcopy(network).eval()
    score, groups = build_importance(config.importance, smaller, data), find_groups(smaller)
    scores = {group.name: score(group) for group in groups}
    gone = choose_gone(groups, scores, config, progress, first, data)
    try:
        remove_groups(smaller, groups, gone)
    except StructureError as error:
        raise CompressionError(
            f"{data.candidate}: prune_channels: {error}. Leave layers out by a ratio of 0 in ratios, beginning with "
            f"{', '.join(gone)}."
        ) from error
    smaller.spec = network.spec.model_copy(update={"channel_plan": smaller.channel_plan()})
    return smaller


def choose_gone(
    groups: Sequence[ChannelGroup],
    scores: dict[str, torch.Tensor],
    config: PruneChannels,
    progress: float,
    first: dict[str, int],
    data: CompressionData,
) -> dict[str, list[list[int]]]:
    """Return group -> the places that go of each of its sets, for all groups that lose any.

    Args:
        scores: group -> the importance of each place, float32 [sets, channels / parts].
        progress: the share of what goes in the end.
        first: group -> its channels before anything was removed.
    """
    chosen = {}
    keep = _kept_globally(groups, scores, config.ratio * progress, first) if config.scope == "global" else {}
    for group in groups:
        whole, ratio = first[group.name], config.ratios.get(group.name, config.ratio)
        kept = _round(keep.get(group.name, round(whole * (1 - ratio * progress))), whole, group, config, data)
        if config.round_to == "auto" and progress < 1 and not keep:  # steps of equal size, the last one to a multiple
            exact = config.model_copy(update={"round_to": 1})
            last = _round(round(whole * (1 - ratio)), whole, group, config, data)
            kept = max(last, _round(round(whole * (1 - ratio * progress)), whole, group, exact, data))
        gone = group.num_channels - kept
        if gone > 0:
            chosen[group.name] = _least(scores[group.name], gone // group.parts)
    return chosen


def _kept_globally(
    groups: Sequence[ChannelGroup], scores: dict[str, torch.Tensor], ratio: float, first: dict[str, int]
) -> dict[str, int]:
    """Return group -> channels to keep, so that all groups together lose ``ratio`` of theirs.

    The scores of a group have the mean 1, as Torch-Pruning gives them: layers are comparable. Of several sets the least
    of each go together, then the second least; they count with their mean.
    """
    import torch

    floors = {name: max(1, round(MIN_SHARE * count)) for name, count in first.items()}
    ranked = torch.cat([scores[group.name].sort(dim=1).values.mean(dim=0) for group in groups])
    owners = [group for group in groups for _ in range(group.num_channels // group.parts)]
    kept = {group.name: group.num_channels for group in groups}
    left = sum(kept.values()) - round(sum(first.values()) * (1 - ratio))
    for place in ranked.argsort(stable=True).tolist():
        name, parts = owners[place].name, owners[place].parts
        if left >= parts and kept[name] - parts >= floors[name]:
            kept[name] -= parts
            left -= parts
    return kept


def _round(kept: int, whole: int, group: ChannelGroup, config: PruneChannels, data: CompressionData) -> int:
    """Return how many channels of ``group`` to keep: of each block alike, and a multiple of `round_to`.

    Args:
        whole: channels that it had before anything was removed.
    """
    if kept < 1:
        raise CompressionError(
            f"{data.candidate}: prune_channels would leave {group.name} none of its {group.num_channels} {group.noun}. "
            f"Lower its ratio below {1 - 0.5 / group.num_channels:.2f}."
        )
    round_to = config.round_to
    if round_to == "auto":
        round_to = _aligned(whole) if group.convolves else 1
    step = math.lcm(math.lcm(round_to, group.width) // group.width, group.parts)
    return min(group.num_channels, -(-kept // step) * step)


def _least(scores: torch.Tensor, count: int) -> list[list[int]]:
    """Return of each set the ``count`` places of least importance."""
    places: list[list[int]] = scores.argsort(dim=1, stable=True)[:, :count].tolist()
    return places
