"""How much each layer's channels matter: what a network loses when one of them alone is pruned."""

from __future__ import annotations

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from thresher.compression.data import CompressionData
from thresher.compression.network.importance import build_importance
from thresher.compression.network.prune_channels import PruneChannels, choose_gone
from thresher.compression.network.pruning_groups import Trial
from thresher.errors import CompressionError
from thresher.events import Step, emit
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.search.result import Point, Sensitivity
from thresher.training.validation import METRIC, evaluate_network

RATIOS = (0.25, 0.5, 0.75, 0.9)
MAX_SAMPLES, MIN_SAMPLES = 2000, 250
"""The most and the fewest samples of the validation split that are used, drawn by the seed."""
MAX_SUMS = 5e12
"""Multiply-accumulates of all points together, from which on fewer samples are used: some minutes of a processor."""


def measure_sensitivity(network: Network, data: CompressionData) -> Sensitivity:
    """Return the curve of every group of layers that can lose channels.

    Source: Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, section 3.2.

    Raises:
        CompressionError: no layer of the network can.
    """
    trial = Trial(copy.deepcopy(network))
    sizes = {group.name: group.num_channels for group in trial.groups}
    if not sizes:
        raise CompressionError(f"{data.candidate}: a {network.spec.model.kind} has no channels that can be pruned.")
    score = build_importance("l2", trial.network, data)
    scores = {group.name: score(group) for group in trial.groups}
    samples = data.validation_samples.draw(affordable(network, len(sizes)), data.training.seed)
    whole, others = _judge(network, samples, 0.0), dict.fromkeys(sizes, 0.0)
    curves = {}
    for number, (group, size) in enumerate(sizes.items(), 1):
        emit(Step(f"sensitivity of {group}, layer {number} of {len(sizes)}"))
        points = [whole]
        for ratio in (ratio for ratio in RATIOS if 1 <= round(size * (1 - ratio)) < size):
            step = PruneChannels(ratio=ratio, ratios={**others, group: ratio}, round_to=1)
            if gone := choose_gone(trial.groups, scores, step, 1.0, sizes, data):
                with trial.without(gone) as pruned:
                    points.append(_judge(pruned, samples, ratio))
        curves[group] = tuple(points)
    metric = METRIC[network.spec.output.kind]
    return Sensitivity(metric=metric, num_samples=len(samples), num_channels=sizes, curves=curves)


def affordable(network: Network, num_groups: int) -> int:
    """Return how many samples all points of so many groups are judged by, from what one of full length takes."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.from_numpy(network.spec.input.example(1)))
    sums = counter.get_total_flops() / 2 * num_groups * len(RATIOS)
    return int(min(MAX_SAMPLES, max(MIN_SAMPLES, MAX_SUMS / max(1, sums))))


def _judge(network: Network, samples: EncodedSamples, ratio: float) -> Point:
    loss, metric = evaluate_network(network, samples, torch.device("cpu"))
    return Point(ratio=ratio, loss=loss, metric=metric)
