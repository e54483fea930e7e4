"""How good a candidate's answers to some labelled samples are, beside the reference's to the same."""

from __future__ import annotations

from pydantic import Field

from thresher.config import Config
from thresher.evaluation.own_metrics import OwnMetric
from thresher.evaluation.quality import Quality


class JudgedAnswers(Config):
    """The figures of quality of one candidate."""

    candidate: str
    reference: str
    quality: Quality
    own: dict[str, OwnMetric] = Field(default_factory=dict)
    """The metrics that the recipe names, by their names."""
