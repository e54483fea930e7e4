"""Parts of the test split, judged apart: an accuracy that holds on the whole may be gone for one class or group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.errors import DataError, nearest
from thresher.evaluation.metrics import CONFIDENCE, LOSS, computed_metric, find_metric
from thresher.evaluation.multiple_testing import describe_broken, keeps
from thresher.evaluation.own_metrics import measure_own_metric
from thresher.evaluation.quality import Rules, measure_quality
from thresher.evaluation.selection import Requirement, Slices
from thresher.evaluation.statistics import Interval, exactly
from thresher.kinds.metric_names import why_undefined
from thresher.modalities.decision import DecisionRule

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MAX_PARTS = 50
"""The most parts of one column: with more values a column of numbers is cut into quarters, and another is refused."""
NUM_QUANTILES = 4
MISSING = "missing"
NAMES = {"label": "class_name"}
"""Column -> the one that has its values in words, where there is one."""


class Slice(Config):
    """One part of the test split, for one candidate."""

    column: str
    value: str
    num_samples: int
    figure: float
    """Accuracy or RMSE of the candidate."""
    reference_figure: float
    """The figure of the float model."""
    loss: Interval
    figures: dict[str, Interval] = Field(default_factory=dict)
    """The further metrics that the recipe bounds in each part, but for those without a value in this one."""

    def of(self, metric: str) -> Interval | None:
        """Return what ``metric``, a bounded one, is here; None where it has no value."""
        return self.loss if metric in LOSS.values() else self.figures.get(metric)

    def __str__(self) -> str:
        return f"{self.column}={self.value}"


class SliceComparison(Config):
    """All parts of the test split, for all candidates."""

    metric: str
    """accuracy_drop or rmse_increase."""
    candidates: dict[str, tuple[Slice, ...]]
    """The parts of the candidates that were judged, the worst first."""
    too_small: dict[str, int]
    """Part -> test samples, of those that are too few to be judged."""

    def broken(self, candidate: str, bounds: Mapping[str, Requirement]) -> str:
        """Return which parts break ``bounds``, metric by metric, the worst of them by name, or nothing."""
        sentences = (self._broken(candidate, metric, bound) for metric, bound in bounds.items())
        return "; ".join(sentence for sentence in sentences if sentence)

    def _broken(self, candidate: str, metric: str, bound: Requirement) -> str:
        parts = self.candidates.get(candidate, ())
        broken = [(each, got) for each in parts if (got := each.of(metric)) is not None and not keeps(got, bound)]
        if not broken:
            return ""
        if metric not in LOSS.values():
            broken.sort(key=lambda pair: pair[1].value, reverse=bound.at_most is not None)
        (worst, got), more = broken[0], f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        return f"slice {worst}{more}: {describe_broken(metric, got, bound)}"


def cut_slices(sample_table: DataFrame, slices: Slices) -> DataFrame:
    """Return for each test sample, in order, the part that it belongs to, as a word, a column for each of ``slices``.

    Raises:
        DataError: a column that the table has not, or one of words with too many values.
    """
    import pandas as pd

    table = sample_table[sample_table["split"] == "test"].sort_values("index", ignore_index=True)
    for column in slices.by:
        if column not in table:
            hidden = ("split", "index", "place", "content_hash", "normal_hash")
            allowed = [str(name) for name in table.columns if name not in hidden]
            raise DataError(
                f"selection.slices.by: the sample table has no column '{column}'. {nearest(column, allowed)}"
            )
    return pd.DataFrame({column: _parts(table, column) for column in slices.by})


def compare_slices(
    parts: DataFrame,
    slices: Slices,
    labels: np.ndarray,
    outputs: Mapping[str, np.ndarray],
    reference: str,
    class_names: tuple[str, ...] = (),
    rules: Mapping[str, DecisionRule] | None = None,
) -> SliceComparison:
    """Return how each candidate does on each part beside ``reference``.

    That itself is among them where `Slices.require` bounds what is no loss to it.

    Args:
        parts: those of `cut_slices`.
        labels: of the test samples, [N].
        outputs: candidate -> its answers, [N, K] or [N, 1].
        rules: candidate -> by which it has its classes; the likeliest is the answer of those that are missing.
    """
    known = rules or {}
    assert len(parts) == len(labels)
    masks = {
        (str(column), str(value)): (parts[column] == value).to_numpy()
        for column in parts
        for value in sorted(parts[column].unique())
    }
    large = {part: mask for part, mask in masks.items() if mask.sum() >= slices.min_samples}
    found: dict[str, tuple[Slice, ...]] = {}
    for name, answers in outputs.items():
        if name != reference or slices.require:
            pair, pair_rules = (answers, outputs[reference]), (known.get(name), known.get(reference))
            each = [_slice(part, mask, labels, pair, pair_rules, slices, class_names) for part, mask in large.items()]
            found[name] = tuple(sorted(each, key=lambda one: (one.loss.upper, one.loss.value), reverse=True))
    small = {
        f"{column}={value}": int(mask.sum()) for (column, value), mask in masks.items() if (column, value) not in large
    }
    metric = LOSS["classification" if labels.dtype.kind == "i" else "regression"]
    return SliceComparison(metric=metric, candidates=found, too_small=small)


def _parts(table: DataFrame, column: str) -> Series:
    import pandas as pd

    words = NAMES.get(column, column)
    values = table[words if words in table and table[words].notna().any() else column]
    if values.nunique() <= MAX_PARTS:
        return values.map(_word, na_action="ignore").astype("object").fillna(MISSING)
    if not pd.api.types.is_numeric_dtype(values):
        raise DataError(
            f"selection.slices.by: column '{column}' has {values.nunique():,} values in the test split. Name a column "
            f"of at most {MAX_PARTS}, or one of numbers, which is cut into quarters."
        )
    quarters = pd.qcut(values.astype("float64"), NUM_QUANTILES, duplicates="drop")
    numbers = values.astype("float64").groupby(quarters, observed=True)
    ranges = {quarter: f"{part.min():.6g} to {part.max():.6g}" for quarter, part in numbers}
    return quarters.map(ranges).astype("object").fillna(MISSING)


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _slice(
    part: tuple[str, str],
    mask: np.ndarray,
    labels: np.ndarray,
    pair: tuple[np.ndarray, np.ndarray],
    rules: Rules,
    slices: Slices,
    class_names: tuple[str, ...],
) -> Slice:
    answers, reference = (each[mask] for each in pair)
    quality = measure_quality(answers, reference, labels[mask], rules)
    bound = slices.bounds.get(LOSS[quality.kind])
    confidence = (bound.confidence if bound else None) or CONFIDENCE
    figures = {
        metric: figure
        for metric, bound in slices.require.items()
        if (figure := _figure(metric, bound, (answers, reference), rules, labels[mask], class_names)) is not None
    }
    return Slice(
        column=part[0],
        value=part[1],
        num_samples=quality.num_samples,
        figure=quality.figure,
        reference_figure=quality.reference_figure,
        loss=exactly(0.0, confidence) if pair[0] is pair[1] else quality.loss(confidence),
        figures=figures,
    )


def _figure(
    metric: str,
    bound: Requirement,
    pair: tuple[np.ndarray, np.ndarray],
    rules: Rules,
    labels: np.ndarray,
    class_names: tuple[str, ...],
) -> Interval | None:
    """Return what ``metric`` is of the first of ``pair`` on these samples, None where it has no value of them."""
    name, confidence = computed_metric(metric), bound.confidence or CONFIDENCE
    kind = find_metric(name)
    if why_undefined(kind, labels, class_names):
        return None
    own = measure_own_metric(kind, *pair, labels, class_names, rules)
    return own.interval(confidence) if name == metric else own.loss_interval(confidence)
