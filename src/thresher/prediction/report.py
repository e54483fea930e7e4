"""What is said of new data at the end: counts, how far it is from the training split, and metrics by its labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.errors import CompressionError, DataError
from thresher.evaluation.own_metrics import compute_metric
from thresher.evaluation.quality import measure_quality
from thresher.modalities.decision import DecisionRule
from thresher.modalities.encoder import Encoder
from thresher.prediction.parts import Parts
from thresher.prediction.scoring import PROBABILITY, TRUTH
from thresher.prediction.truth import UNKNOWN
from thresher.serving.monitoring.drift import FEWEST
from thresher.serving.monitoring.profile import Profile, population_stability_index

MAX_NUMBERS = 8 * 2**20
"""Outputs of labelled samples that metrics are computed of; of more, samples are taken at even distances."""
LARGE = 0.25
"""A population stability index from which on a change is called large."""
NOT_OF_ONE = ("mcnemar_p",)
"""Metrics that compare two models."""


class Report(Config):
    """What came of new data."""

    num_samples: int
    num_predicted: int
    num_rejected: int
    num_left_out: int
    """By --where."""
    reasons: dict[str, int] = Field(default_factory=dict)
    """The reasons of those that were rejected, the most frequent first, without what differs from one to the other."""
    labels: dict[str, int] = Field(default_factory=dict)
    """Class -> how often it was predicted."""
    input_drift: dict[str, float] = Field(default_factory=dict)
    """Feature -> its population stability index against the training split, the largest first."""
    prediction_drift: float | None = None
    """That of the predictions against the training split's labels."""
    num_labelled: int = 0
    num_unknown_labels: int = 0
    """Labels of classes that the model does not know."""
    num_measured: int = 0
    """Labelled samples that the metrics rest on."""
    metrics: dict[str, float] = Field(default_factory=dict)
    undefined_metrics: dict[str, str] = Field(default_factory=dict)
    """Metric of the recipe -> why it has no value of these samples."""

    @property
    def large_drift(self) -> list[str]:
        """The features that have changed much."""
        return [name for name, index in self.input_drift.items() if index > LARGE]


def make_report(
    parts: Parts,
    count: int,
    encoder: Encoder,
    profile: Profile | None,
    metrics: Iterable[str],
    allowed: int = MAX_NUMBERS,
    rule: DecisionRule | None = None,
) -> Report:
    """Return what the ``count`` parts of an output come to.

    Args:
        metrics: that the recipe names.
        allowed: numbers that metrics may be computed of at once.
        rule: by which the model has its classes.
    """
    width = len(encoder.class_names) or 1
    abouts = [parts.read_about(number) for number in range(count)]
    labelled = _Labelled(encoder, max(1, -(-sum(about["count"] for about in abouts) * width // allowed)), rule)
    predicted: Counter[str] = Counter()
    num_predicted = 0
    for number in range(count):
        table = parts.read(number)
        num_predicted += table.num_rows
        if encoder.class_names:
            counted = table.column("label").value_counts().to_pylist()
            predicted.update({each["values"]: each["counts"] for each in counted})
        if TRUTH in table.column_names:
            labelled.add(table)
    reasons = Counter(_short(reason) for about in abouts for _, _, reason in about["rejected"])
    return Report(
        num_samples=sum(about["count"] for about in abouts),
        num_predicted=num_predicted,
        num_rejected=reasons.total(),
        num_left_out=sum(about["left_out"] for about in abouts),
        reasons=dict(reasons.most_common(10)),
        labels=dict(predicted.most_common()),
        **_drift(abouts, profile),
        **labelled.measure(metrics),
    )


def _drift(abouts: list[dict[str, Any]], profile: Profile | None) -> dict[str, Any]:
    watched = [about for about in abouts if "features" in about]
    if profile is None or not watched:
        return {}
    found = {}
    for place, histogram in enumerate(profile.features):
        seen = np.sum([about["features"][place] for about in watched], axis=0)
        if seen.sum() >= FEWEST:
            found[histogram.name] = population_stability_index(np.array(histogram.counts), seen)
    predicted = np.sum([about["prediction"] for about in watched], axis=0)
    enough = predicted.sum() >= FEWEST
    ordered = dict(sorted(found.items(), key=lambda pair: pair[1], reverse=True))
    expected = np.array(profile.prediction.counts)
    return {
        "input_drift": ordered,
        "prediction_drift": population_stability_index(expected, predicted) if enough else None,
    }


class _Labelled:
    """Outputs and labels of the labelled samples: every so many of them."""

    def __init__(self, encoder: Encoder, every: int, rule: DecisionRule | None) -> None:
        self._encoder, self._every, self._rule = encoder, every, rule
        self._outputs: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        self._num_labelled = self._num_unknown = 0

    def add(self, table: Any) -> None:
        truth, names = table.column(TRUTH).to_numpy(), self._encoder.class_names
        known = truth >= 0 if names else np.isfinite(truth)
        self._num_unknown += int((truth == UNKNOWN).sum()) if names else 0
        places = np.flatnonzero(known)[:: self._every]
        self._num_labelled += int(known.sum())
        columns = [f"{PROBABILITY}{name}" for name in names] or ["value"]
        self._outputs.append(np.stack([table.column(name).to_numpy()[places] for name in columns], axis=1))
        self._labels.append(truth[places])

    def measure(self, metrics: Iterable[str]) -> dict[str, Any]:
        counts = {"num_labelled": self._num_labelled, "num_unknown_labels": self._num_unknown}
        if not self._num_labelled:
            return counts
        outputs, labels = np.concatenate(self._outputs), np.concatenate(self._labels)
        figures = {
            name: value
            for name, value in measure_quality(outputs, outputs, labels, (self._rule, self._rule)).figures.items()
            if name not in NOT_OF_ONE and np.isfinite(value)
        }
        undefined: dict[str, str] = {}
        for name in metrics:
            try:
                figures[name] = compute_metric(name, outputs, labels, self._encoder.class_names, self._rule)
            except (CompressionError, DataError, ValueError) as error:  # such as of samples of one class alone
                undefined[name] = str(error)
        return {**counts, "num_measured": len(labels), "metrics": figures, "undefined_metrics": undefined}


def _short(reason: str) -> str:
    """Return the first sentence of a reason, cut."""
    return reason.partition(". ")[0][:120]
