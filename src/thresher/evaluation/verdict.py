"""The verdict as it is kept, shown and logged; `thresher.evaluation.judge` reaches it."""

from __future__ import annotations

from typing import Literal

from thresher.config import Config
from thresher.evaluation.baseline import Baseline
from thresher.evaluation.exported import ExportedQuality
from thresher.evaluation.metrics import LOSS
from thresher.evaluation.reference import Reference
from thresher.evaluation.statistics import Interval
from thresher.models import FLOAT


class Judged(Config):
    """One candidate's figures and what they came to."""

    candidate: str
    metrics: dict[str, Interval]
    """Empty where the candidate could not be made."""
    qualifies: bool
    wins: bool = False
    reason: str


class Verdict(Config):
    """All candidates in the order of the recipe; ``winner`` is None where nobody qualifies."""

    recipe: str
    task: Literal["classification", "regression"]
    minimize: str
    """The metric that decides among those that meet every requirement."""
    maximizes: bool = False
    """Whether the most of it wins, and not the least."""
    candidates: tuple[Judged, ...]
    winner: str | None
    machine: dict[str, str]
    measured: tuple[str, str]
    """When the first and the last of the evaluations were made, ISO 8601, UTC: some may be an earlier run's."""
    num_test_samples: int
    baseline: Baseline | None = None
    """What answers without looking, and how all compare with it; earlier verdicts have none."""
    reference: Reference | None = None
    """Another model beside float, which takes no part; most recipes have none."""
    exported: ExportedQuality | None = None
    """What the float model is worth on the validation split, in training and as a file; earlier verdicts have none."""

    @property
    def objective(self) -> str:
        """What is best of the winner, such as `least size_bytes`."""
        return f"{'most' if self.maximizes else 'least'} {self.minimize}"

    @property
    def days(self) -> str:
        """The day of the measurements, or the first and the last."""
        first, last = (moment[:10] for moment in self.measured)
        return first if first == last else f"{first} to {last}"

    @property
    def nothing_learned(self) -> bool:
        """Whether nobody qualifies since float is not shown to be better than the baseline."""
        return self.winner is None and self.baseline is not None and bool(self.baseline.fails(FLOAT))

    @property
    def confidence(self) -> float:
        """The confidence of the intervals."""
        return self.candidates[0].metrics[LOSS[self.task]].confidence

    def of(self, candidate: str) -> Judged:
        """Return what was judged of ``candidate``."""
        return next(judged for judged in self.candidates if judged.candidate == candidate)
