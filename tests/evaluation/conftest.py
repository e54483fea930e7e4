"""Evaluations with chosen figures, of either task; everything that is not chosen equals the float model."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest

from thresher.evaluation.cost import Cost
from thresher.evaluation.energy import EnergyUse
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.footprint import Footprint
from thresher.evaluation.latency import Latency
from thresher.evaluation.quality import ClassificationQuality, Quality, measure_quality
from thresher.evaluation.statistics import PairedCounts

Evaluate = Callable[..., Evaluation]
BATCH_SIZES = (1, 32)


@pytest.fixture(scope="session")
def evaluation() -> Evaluate:
    """Make the evaluation of a candidate that takes ``ratio`` of the float model's time, give or take ``spread``.

    It is one of a regression where it is said how much ``worse`` its errors are, as a share. It takes ``load`` of the
    float model's time to be opened, and ``energy`` of its joules, where these are counted.
    """

    def evaluation(
        name: str = "float",
        ratio: float = 1.0,
        spread: float = 0.0,
        clock: float = 1.0,
        lost: int = 0,
        gained: int = 0,
        worse: float | None = None,
        memory: int = 10_000_000,
        load: float = 1.0,
        energy: float | None = None,
        **cost: int,
    ) -> Evaluation:
        figures = {"size_bytes": 1000, "compressed_bytes": 900, "num_parameters": 100, "macs": 5000, **cost}
        ratios = tuple(ratio + spread * (number - 4.5) for number in range(10))
        return Evaluation(
            candidate=name,
            reference="float",
            quality=make_classification(lost, gained) if worse is None else make_regression(worse),
            cost=Cost(**figures),
            footprint=Footprint(
                peak_memory_bytes=memory, reference_peak_memory_bytes=10_000_000, load_ms=2 * load * clock,
                reference_load_ms=2 * clock, load_ratios=(load,) * 5,
            ),
            latencies=tuple(
                Latency(batch_size=size, p50=0.1 * size * ratio * clock, p90=0.15 * size * ratio * clock,
                        p99=0.2 * size * ratio * clock, reference_p50=0.1 * size * clock, num_calls=50,
                        round_ratios=ratios, energy=energy and EnergyUse(joules=1e-3 * energy, reference_joules=1e-3))
                for size in BATCH_SIZES
            ),
            machine={"processor": "a processor", "vnni": "no"},
            onnxruntime_version="1",
            measured_at="2026-01-01T00:00:00+00:00",
        )  # fmt: skip

    return evaluation


def make_classification(lost: int, gained: int) -> ClassificationQuality:
    return ClassificationQuality(
        accuracy=0.9 - (lost - gained) / 1000,
        balanced_accuracy=0.9,
        log_loss=0.3,
        reference_accuracy=0.9,
        paired=PairedCounts(num_samples=1000, lost=lost, gained=gained),
        agreement=1.0,
    )


@functools.cache
def make_regression(worse: float) -> Quality:
    """Prices around 200 that the reference misses by an RMSE of about 10."""
    random = np.random.default_rng(0)
    labels, errors, more = random.normal(200, 50, 1000), random.normal(0, 10, 1000), random.normal(0, 1, 1000)
    ours = errors * (1 + worse) + (more if worse else 0)
    return measure_quality((labels + ours)[:, None], (labels + errors)[:, None], labels)
