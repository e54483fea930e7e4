"""What a recipe asks of the winner."""

from __future__ import annotations

from pydantic import Field, model_validator

from thresher.config import Config
from thresher.evaluation.metrics import CONFIDENCE, LOSS


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


class Selection(Config):
    """Which candidate wins: the least of one metric among those that meet every requirement."""

    minimize: str = "latency_ms_p50"
    """A metric of which less is better."""
    require: dict[str, Requirement] = Field(default_factory=dict)
    """Metric -> bound. A candidate that breaks one does not qualify."""

    @property
    def confidence(self) -> float:
        """Of the interval of what is lost in quality; 0.95 unless the recipe requires another."""
        required = (self.require[loss].confidence for loss in LOSS.values() if loss in self.require)
        return next((confidence for confidence in required if confidence), CONFIDENCE)
