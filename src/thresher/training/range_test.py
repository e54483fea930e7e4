"""The learning-rate range test: which rate the loss falls fastest at."""

from __future__ import annotations

import math
from itertools import chain, count, islice

import numpy as np

from thresher.errors import TrainingError
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.batches import load_batches
from thresher.training.devices import choose_device
from thresher.training.execution import ChosenExecution
from thresher.training.history import RangeTest
from thresher.training.trainer import Trainer

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 150
SMOOTHING = 0.9
EXPLODED = 4.0
"""How many times the least smoothed loss is the end of the test."""
SKIPPED_STEPS = 10
"""At the start, where the smoothed loss says more of the first batches than of the rate."""


def find_learning_rate(
    network: Network, samples: EncodedSamples, config: Training, execution: ChosenExecution
) -> RangeTest:
    """Return what steps with rates from 1e-6 to 10, each larger than the one before, come to.

    The rate is chosen where the smoothed loss falls fastest over the logarithm of the rate.

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017; the choice by the steepest
    slope is that of fastai.

    Args:
        network: left as it is.
        samples: the training split.

    Raises:
        TrainingError: a loss that falls at no rate.
    """
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    losses = _losses(network, samples, config, execution, rates)
    rates = rates[: len(losses)]
    return RangeTest(rates=tuple(rates), losses=tuple(losses), learning_rate=_steepest(rates, losses))


def _losses(
    network: Network, samples: EncodedSamples, config: Training, execution: ChosenExecution, rates: np.ndarray
) -> np.ndarray:
    """Return the smoothed loss before the step at each rate; it ends early where the loss explodes."""
    device = choose_device(config.device)
    batches = load_batches(samples, network.spec, device, config.memory_limit_mb)
    order = batches.order(config, 1)
    learner = Trainer(network, config, execution, samples.labels, device, order.size)
    learner.network.train()
    endless = chain.from_iterable(batches.iterate(order.of_epoch(epoch)) for epoch in count(1))
    average, smooth = 0.0, []
    for step, batch in enumerate(islice(endless, len(rates))):
        learner.set_rate(rates[step] / config.optimizer.lr)
        loss = learner.learn(batch).item()
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        # Without the bias to 0 that a moving average has at its start.
        smooth.append(average / (1 - SMOOTHING ** (step + 1)))
        if not math.isfinite(loss) or smooth[-1] > EXPLODED * min(smooth):
            break
    finite: np.ndarray = np.array(smooth)[np.isfinite(smooth)]
    return finite


def _steepest(rates: np.ndarray, losses: np.ndarray) -> float:
    end = int(losses.argmin()) + 1 if len(losses) else 0
    if end < SKIPPED_STEPS + 3:
        raise TrainingError(
            "training.learning_rate: auto: the loss falls at no rate from 1e-6 to 10. Give optimizer.lr yourself, or "
            "look at the data and the model."
        )
    slopes = np.gradient(losses[:end], np.log(rates[:end]))
    return float(rates[SKIPPED_STEPS + int(slopes[SKIPPED_STEPS:].argmin())])
