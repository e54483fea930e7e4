"""What a recipe asks of the winner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from thresher.config import Config
from thresher.evaluation.metrics import CONFIDENCE, LOSS, computed_metric, find_metric

ALLOW = "selection.allow_no_better_than_baseline: true"
"""What a recipe says to let a model win that has learned nothing."""


class Requirement(Config):
    """A bound on one metric; with a confidence, on the bound of its interval."""

    at_most: float | None = Field(default=None, allow_inf_nan=False)
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    confidence: float | None = Field(default=None, gt=0.5, lt=1)
    """Share of resamples that must keep the bound; only for metrics with an interval."""

    @model_validator(mode="after")
    def _one_bound(self) -> Requirement:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("give one of at_most and at_least")
        return self


class Slices(Config):
    """Parts of the test split, none of which may break a bound of its own."""

    by: tuple[str, ...] = Field(min_length=1)
    """Columns of the sample table, `label` for the classes. Of numbers with many values each quarter is a part."""
    accuracy_drop: Requirement | None = None
    """The bound on each part's drop in accuracy, in a classification."""
    rmse_increase: Requirement | None = None
    """The bound on each part's increase of the RMSE, in a regression."""
    require: dict[str, Requirement] = Field(default_factory=dict)
    """Metric of quality -> bound on it in each part, such as `recall[spam]: {at_least: 0.8}`."""
    min_samples: int = Field(default=30, ge=1)
    """Smaller parts are reported as such and not judged."""

    @model_validator(mode="after")
    def _some_bound(self) -> Slices:
        losses = [name for name in LOSS.values() if getattr(self, name) is not None]
        if len(losses) > 1 or not (losses or self.require):
            raise ValueError(
                "give one of accuracy_drop (in a classification) and rmse_increase (in a regression), or require"
            )
        for name in losses:
            if getattr(self, name).at_most is None:
                raise ValueError(f"{name} of a slice needs at_most")
        return self

    @property
    def bounds(self) -> dict[str, Requirement]:
        """Metric -> what each part must keep."""
        losses = {name: bound for name in LOSS.values() if (bound := getattr(self, name)) is not None}
        return losses | self.require


OBJECTIVE = "latency_ms_p50"
"""What is minimized where a recipe says nothing."""


class Selection(Config):
    """Which candidate wins: the least, or most, of one metric among those that meet every requirement."""

    minimize: str | None = None
    """A metric of which less is better; latency_ms_p50 where neither it nor `maximize` is given."""
    maximize: str | None = None
    """A metric of which more is better."""
    require: dict[str, Requirement] = Field(default_factory=dict)
    """Metric -> bound. A candidate that breaks one does not qualify."""
    require_on: dict[str, dict[str, Requirement]] = Field(default_factory=dict)
    """Test set of `data.tests` or `data.corruptions`, or `pooled` -> metric of quality -> bound on it there."""
    correction: Literal["holm", "none"] = "holm"
    """holm: that all candidates which keep a requirement with a confidence truly do is as sure as it says; none: each
    of them alone."""
    allow_no_better_than_baseline: bool = False
    """Let a model win that is not shown to be better than the most frequent class, or the mean of the labels. Without
    it such a candidate fails, and where float is one, the whole run does."""
    slices: Slices | None = None
    """Parts of the test split that are judged apart."""

    @model_validator(mode="after")
    def _one_objective(self) -> Selection:
        if self.maximize is not None and self.minimize is not None:
            raise ValueError("give one of minimize and maximize")
        return self

    @property
    def objective(self) -> str:
        """The metric that decides among those that meet every requirement."""
        return self.maximize or self.minimize or OBJECTIVE

    @property
    def computed_metrics(self) -> tuple[str, ...]:
        """The metrics of quality that must be computed for it, besides what is measured of every candidate."""
        bounds = [*self.require.items(), *(self.slices.require.items() if self.slices else ())]
        return _computed([*bounds, (self.objective, None)])

    def metrics_on(self, name: str) -> tuple[str, ...]:
        """Return the metrics of quality that must be computed for the bounds on the test set ``name``."""
        return _computed(list(self.require_on.get(name, {}).items()))

    @property
    def confidence(self) -> float:
        """The confidence of the interval of the loss in quality; 0.95 unless the recipe requires another."""
        required = (self.require[loss].confidence for loss in LOSS.values() if loss in self.require)
        return next((confidence for confidence in required if confidence), CONFIDENCE)


def _computed(bounds: list[tuple[str, Requirement | None]]) -> tuple[str, ...]:
    """Return the metrics with an implementation that ``bounds`` need; None is the bound of what decides."""
    sure = {name for name, bound in bounds if bound is None or bound.confidence}
    found = {name: computed_metric(name) for name, _ in bounds}
    return tuple(
        dict.fromkeys(
            computed
            for name, computed in found.items()
            if computed and (name in sure or name != computed or not find_metric(computed).is_always_measured)
        )
    )
