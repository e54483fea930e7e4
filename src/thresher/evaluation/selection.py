"""What a recipe asks of the winner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from thresher.config import Config
from thresher.evaluation.metrics import CONFIDENCE, LOSS

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
    """Parts of the test split, none of which may lose more than a bound of its own."""

    by: tuple[str, ...] = Field(min_length=1)
    """Columns of the sample table, `label` for the classes. Of numbers with many values each quarter is a part."""
    accuracy_drop: Requirement | None = None
    """The bound on each part's drop in accuracy, in a classification."""
    rmse_increase: Requirement | None = None
    """The bound on each part's increase of the RMSE, in a regression."""
    min_samples: int = Field(default=30, ge=1)
    """Smaller parts are reported as such and not judged."""

    @model_validator(mode="after")
    def _one_loss(self) -> Slices:
        if (self.accuracy_drop is None) == (self.rmse_increase is None):
            raise ValueError("give one of accuracy_drop (in a classification) and rmse_increase (in a regression)")
        if self.bound.at_most is None:
            raise ValueError(f"{self.loss} of a slice needs at_most")
        return self

    @property
    def loss(self) -> str:
        """The metric that is bound."""
        return "accuracy_drop" if self.accuracy_drop is not None else "rmse_increase"

    @property
    def bound(self) -> Requirement:
        """What each part must keep."""
        bound = self.accuracy_drop or self.rmse_increase
        assert bound is not None
        return bound


class Selection(Config):
    """Which candidate wins: the least of one metric among those that meet every requirement."""

    minimize: str = "latency_ms_p50"
    """A metric of which less is better."""
    require: dict[str, Requirement] = Field(default_factory=dict)
    """Metric -> bound. A candidate that breaks one does not qualify."""
    correction: Literal["holm", "none"] = "holm"
    """holm: that all candidates which keep a requirement with a confidence truly do is as sure as it says; none: each
    of them alone."""
    allow_no_better_than_baseline: bool = False
    """Let a model win that is not shown to be better than the most frequent class, or the mean of the labels. Without
    it such a candidate fails, and where float is one, the whole run does."""
    slices: Slices | None = None
    """Parts of the test split that are judged apart."""

    @property
    def confidence(self) -> float:
        """The confidence of the interval of the loss in quality; 0.95 unless the recipe requires another."""
        required = (self.require[loss].confidence for loss in LOSS.values() if loss in self.require)
        return next((confidence for confidence in required if confidence), CONFIDENCE)
