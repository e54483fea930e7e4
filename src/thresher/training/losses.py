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
    """Return cross-entropy or focal loss for classes; for values the squared error, in variances of the labels.

    Args:
        labels: of the training split, [N]; "balanced" class weights come from them.
    """
    if isinstance(output, ValueOutput):
        return Loss(squared_error, len)
    weights = None if config.class_weights is None else balanced_weights(labels, output).to(device)
    of_weights: Callable[[torch.Tensor], torch.Tensor | int] = len if weights is None else _weights_of(weights)
    if config.focal_gamma is not None:
        return Loss(partial(focal_loss, gamma=config.focal_gamma, weight=weights), of_weights)
    cross_entropy = partial(F.cross_entropy, weight=weights, reduction="sum", label_smoothing=config.label_smoothing)
    return Loss(cross_entropy, of_weights)


def focal_loss(
    logits: torch.Tensor, labels: torch.Tensor, gamma: float, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the sum of (1 - p)^gamma * -log(p) of the right classes' probabilities p, by ``logits`` [B, K].

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; for classes of which one is right.
    """
    cross_entropy = F.cross_entropy(logits, labels, reduction="none")
    lacking = -torch.expm1(-cross_entropy)  # 1 - p, exact where p is nearly 1
    # Of a p of exactly 1 the power would have no derivative below gamma 1.
    each = lacking.clamp(min=torch.finfo(lacking.dtype).tiny) ** gamma * cross_entropy
    return each.sum() if weight is None else (weight[labels] * each).sum()


def _weights_of(weights: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda labels: weights[labels].sum()


def squared_error(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the sum of squared differences between ``values`` [B, 1] and ``labels`` [B]."""
    return F.mse_loss(values[:, 0], labels, reduction="sum")


def balanced_weights(labels: np.ndarray, output: ClassOutput) -> torch.Tensor:
    """Return N / (K n_k) for each class k, as scikit-learn's "balanced" does; a class without samples counts as 1."""
    counts = np.bincount(labels, minlength=output.num_classes)
    weights = len(labels) / (output.num_classes * np.maximum(counts, 1))
    return torch.from_numpy(weights).float()
