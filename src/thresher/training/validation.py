"""What a network is worth on samples that it does not learn from."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from thresher.modalities.outputs import ValueOutput
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.training.batches import Batch, Batches, load_batches
from thresher.training.losses import squared_error
from thresher.training.memory import in_parts_that_fit

EVALUATION_BATCH = 2048
METRIC = {"classification": "accuracy", "regression": "rmse"}
"""Kind of the output -> what an epoch is judged by, besides its loss."""


def evaluate_network(network: Network, samples: EncodedSamples, device: torch.device) -> tuple[float, float]:
    """Return mean loss and metric of ``network``: cross-entropy and accuracy, or mean squared error and RMSE.

    The squared error is in variances of the training split's labels, the RMSE in their own unit.
    """
    return judge(network, load_batches(samples, network.spec, device), EVALUATION_BATCH)[:2]


def judge(network: Network, batches: Batches, size: int) -> tuple[float, float, int]:
    """Return mean loss, metric, and how many samples at a time fitted into memory, at most ``size``."""
    network.eval()
    (loss, second), size = in_parts_that_fit(lambda part: _add_up(network, batches, part), size, "validation")
    count, output = len(batches), network.spec.output
    if isinstance(output, ValueOutput):
        return loss / count, math.sqrt(loss / count) * output.std, size
    return loss / count, second / count, size


@torch.inference_mode()
def _add_up(network: Network, batches: Batches, size: int) -> tuple[float, float]:
    total = torch.zeros(2, dtype=torch.float64, device=batches.device)
    for batch in batches.in_slices(size):
        total += torch.stack(_sums(network, batch))
    loss, second = total.tolist()
    return loss, second


def _sums(network: Network, batch: Batch) -> list[torch.Tensor]:
    """Return the sum of the losses, and how many classes are right (0 of a regression), in float64."""
    learned, labels = network(batch.inputs), batch.labels
    if isinstance(network.spec.output, ValueOutput):
        loss = squared_error(learned.double(), labels.double())
        return [loss, torch.zeros_like(loss)]
    loss = F.cross_entropy(learned, labels, reduction="sum").double()
    return [loss, (learned.argmax(1) == labels).sum().double()]
