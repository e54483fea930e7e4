"""The nodes of the training stage."""

from __future__ import annotations

import numpy as np

from thresher.contracts import ContractReport, require
from thresher.errors import DataError
from thresher.modalities.image import ImageEncoder
from thresher.modalities.samples import Samples
from thresher.modalities.split import mark_stratified
from thresher.models import ModelChoice
from thresher.pipelines.types import Network, TrainingHistory
from thresher.training import Training


def split_samples(
    train: Samples, test: Samples, contract_report: ContractReport, validation: float, seed: int
) -> tuple[Samples, Samples, Samples]:
    """Return the training, validation and test samples of data that keeps its contract.

    Args:
        validation: share of the training samples, of each class alike, that is not learned from.

    Raises:
        ContractError: it does not; nothing after this runs.
        DataError: too few samples to split.
    """
    require(contract_report)
    held_out = mark_stratified(train.labels, validation, seed)
    if not held_out.any():
        raise DataError(f"{len(train)} training samples, one a class, leave none to validate with. Add samples.")
    return train.take(~held_out), train.take(held_out), test


def fit_encoder(training_samples: Samples) -> ImageEncoder:
    """Return what turns raw input into tensors, fitted on the training split alone."""
    return ImageEncoder.fit(training_samples)


def train_float(
    training_samples: Samples,
    validation_samples: Samples,
    encoder: ImageEncoder,
    model: ModelChoice,
    training: Training,
) -> tuple[Network, TrainingHistory]:
    """Return the trained float network and its history."""
    import torch

    from thresher.models.network import Network, NetworkSpec
    from thresher.training.loop import train

    pixels = training_samples.inputs
    spec = NetworkSpec(
        model=model.root,
        input_shape=pixels.shape[1:],
        num_classes=len(encoder.class_names),
        mean=tuple(pixels.mean(axis=(0, 2, 3), dtype=np.float64)),
        # A channel without any variation is left at its scale.
        std=tuple(np.maximum(pixels.std(axis=(0, 2, 3), dtype=np.float64), 1.0)),
    )
    torch.manual_seed(training.seed)
    return train(Network(spec), training_samples, validation_samples, training, "float")
