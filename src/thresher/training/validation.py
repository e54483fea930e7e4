"""What a network is worth on samples that it does not learn from."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from thresher.errors import TrainingError
from thresher.kinds.metric_names import arguments_of, find_whole, require_defined
from thresher.kinds.record import MetricKind
from thresher.modalities.outputs import AnyOutput, ValueOutput
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.training.batches import Batches, Positions, in_own_order, load_batches
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


class BestBy:
    """What says which epoch of a training is best: the validation loss, or a metric of quality.

    Raises:
        DataError: the metric has no value of the validation labels.
    """

    def __init__(self, name: str, validation: EncodedSamples) -> None:
        self._kind: MetricKind | None = None if name == "loss" else find_whole(name)
        self._name, self._labels, self._classes = name, validation.labels, validation.class_names
        self.learned: list[torch.Tensor] | None = None if self._kind is None else []
        """What the network gave in the last validation, in the order of the samples; None where nobody asks."""
        if self._kind is not None:
            require_defined([self._kind], self._labels, self._classes, "validation")

    def figure(self, output: AnyOutput) -> float | None:
        """Return the metric of the last validation; None where the loss says it.

        Raises:
            TrainingError: it is not a finite number.
        """
        if self._kind is None:
            return None
        learned = torch.cat(self.learned or []).double()
        if isinstance(output, ValueOutput):
            answers = (learned * output.std + output.mean).numpy()
        else:
            answers = torch.softmax(learned, dim=1).numpy()
        if self._kind.judges == "classes":
            answers = answers.argmax(axis=1)
        value = float(self._kind.load()(answers, self._labels, *arguments_of(self._kind, self._classes)))
        if not math.isfinite(value):
            raise TrainingError(f"training.best_by: {self._name} is {value} on the validation split. Fix: another one.")
        return value

    def score(self, loss: float, figure: float | None) -> float:
        """Return what is least of the best epoch."""
        if self._kind is None or figure is None:
            return loss
        return figure if self._kind.smaller_is_better else -figure


def judge(
    network: Network, batches: Batches, size: int, learned: list[torch.Tensor] | None = None
) -> tuple[float, float, int]:
    """Return mean loss, metric, and how many samples at a time fitted into memory, at most ``size``.

    Args:
        learned: takes what the network gives, in the order of the samples, on the CPU, in place of what it held.
    """
    network.eval()
    (loss, second), size = in_parts_that_fit(lambda part: _add_up(network, batches, part, learned), size, "validation")
    count, output = len(batches), network.spec.output
    if isinstance(output, ValueOutput):
        return loss / count, math.sqrt(loss / count) * output.std, size
    return loss / count, second / count, size


@torch.inference_mode()
def _add_up(network: Network, batches: Batches, size: int, kept: list[torch.Tensor] | None) -> tuple[float, float]:
    total = torch.zeros(2, dtype=torch.float64, device=batches.device)
    parts: list[tuple[torch.Tensor, Positions]] = []
    for batch in batches.by_length(size):
        learned = network(batch.inputs)
        total += torch.stack(_sums(network, learned, batch.labels))
        if kept is not None:
            parts.append((learned.cpu(), batch.positions))
    if kept is not None:
        kept[:] = [in_own_order(*zip(*parts, strict=True))]
    loss, second = total.tolist()
    return loss, second


def _sums(network: Network, learned: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """Return the sum of the losses, and how many classes are right (0 of a regression), in float64."""
    if isinstance(network.spec.output, ValueOutput):
        loss = squared_error(learned.double(), labels.double())
        return [loss, torch.zeros_like(loss)]
    loss = F.cross_entropy(learned, labels, reduction="sum").double()
    return [loss, (learned.argmax(1) == labels).sum().double()]
