"""What a training makes smaller, by the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from thresher.modalities.outputs import AnyOutput, ClassOutput, ValueOutput
from thresher.training import Training


@dataclass(frozen=True)
class Loss:
    """A mean over a batch in two parts, so that the batch can be computed in pieces whose gradients add up.

    Attributes:
        sum: (what a network gives, labels [B]) -> sum over the samples.
        weight: labels [B] of the whole batch -> what the sum is divided by.
    """

    sum: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    weight: Callable[[torch.Tensor], torch.Tensor | int]

    def mean(self, learned: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of one whole batch."""
        return self.sum(learned, labels) / self.weight(labels)


def build_loss(output: AnyOutput, config: Training, labels: np.ndarray, device: torch.device) -> Loss:
    """Return cross-entropy for classes; for values the squared error, in variances of the labels.

    Args:
        labels: of the training split, [N]; "balanced" class weights come from them.
    """
    if isinstance(output, ValueOutput):
        return Loss(squared_error, len)
    weights = None if config.class_weights is None else balanced_weights(labels, output).to(device)
    cross_entropy = partial(F.cross_entropy, weight=weights, reduction="sum", label_smoothing=config.label_smoothing)
    return Loss(cross_entropy, len if weights is None else lambda labels: weights[labels].sum())


def squared_error(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the sum of squared differences between ``values`` [B, 1] and ``labels`` [B]."""
    return F.mse_loss(values[:, 0], labels, reduction="sum")


def balanced_weights(labels: np.ndarray, output: ClassOutput) -> torch.Tensor:
    """Return N / (K n_k) for each class k, as scikit-learn's "balanced" does; a class without samples counts as 1."""
    counts = np.bincount(labels, minlength=output.num_classes)
    weights = len(labels) / (output.num_classes * np.maximum(counts, 1))
    return torch.from_numpy(weights).float()
