"""What a search came to, and the sensitivity of layers that it began with."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from thresher.compression import Technique
from thresher.compression.budget import Budget
from thresher.config import Config

COSTS = ("size_bytes", "latency_us", "macs")


class Point(Config):
    """A network with this share of one group's channels gone, and nothing trained since."""

    ratio: float
    loss: float
    """Mean over the validation samples."""
    metric: float
    """Accuracy, or RMSE in the label's unit."""


class Sensitivity(Config):
    """Group of layers -> its curve, beginning at the ratio 0, which is the network as it is."""

    metric: str
    """accuracy or rmse."""
    num_samples: int
    num_channels: dict[str, int]
    """Group -> its channels before any is gone."""
    curves: dict[str, tuple[Point, ...]]

    def ratio_at(self, group: str, increase: float) -> float:
        """Return which share of ``group`` may go until the loss has risen by ``increase``; linear between points."""
        points = self.curves[group]
        # A loss that falls again, by chance, must not hide what was lost before.
        losses = np.maximum.accumulate([point.loss for point in points]) - points[0].loss
        steps = np.arange(len(points)) * 1e-9  # interp wants rising values
        return float(np.interp(increase, losses + steps, [point.ratio for point in points]))


class Assessed(Config):
    """One chain and its figures on the validation split, from the ONNX file that it makes."""

    number: int
    settings: dict[str, Any]
    """What the sampler chose."""
    steps: tuple[Technique, ...]
    finetuned: bool
    """Whether it was, or stands for what finetuning has yet to mend."""
    reason: str = ""
    """Why there are no figures."""
    metric: float | None = None
    """Accuracy, or RMSE."""
    loss: float | None = None
    """Drop in accuracy, or increase of the RMSE, against float on the same samples."""
    loss_upper: float | None = None
    """Its interval's upper bound at 95 %."""
    costs: dict[str, float] = Field(default_factory=dict)
    """size_bytes, macs, and latency_us where it was timed."""
    seconds: float

    @property
    def state(self) -> str:
        """failed, judged (as it is) or finetuned."""
        return "failed" if self.reason else "finetuned" if self.finetuned else "judged"


class BudgetSearch(Config):
    """All trials and finalists of one search."""

    candidate: str
    metric: Literal["accuracy", "rmse"]
    budget: Budget
    objective: str
    """The cost that is weighed against quality."""
    baseline: Assessed
    """Float, on the same samples."""
    trials: tuple[Assessed, ...]
    finalists: tuple[Assessed, ...]
    best: int
    """Place among the finalists."""
    keeps_budget: bool
    """Whether the best does; where none does it is the nearest."""

    @property
    def winner(self) -> Assessed:
        """The best finalist."""
        return self.finalists[self.best]


def keeps(assessed: Assessed, budget: Budget) -> bool:
    """Return whether ``assessed`` costs and loses at most what ``budget`` allows."""
    if assessed.reason or not affords(assessed, budget):
        return False
    return budget.loss is None or (assessed.loss_upper is not None and assessed.loss_upper <= budget.loss)


def affords(assessed: Assessed, budget: Budget) -> bool:
    """Return whether ``assessed`` keeps the bounds on costs."""
    return all(assessed.costs[name] <= bound for name, bound in budget.costs.items())


def pareto_front(assessed: list[Assessed], objective: str) -> list[Assessed]:
    """Return those that no other beats in both loss and ``objective``, the dearest first."""
    front: list[Assessed] = []
    for one in sorted((each for each in assessed if not each.reason), key=lambda each: _order(each, objective)):
        assert one.loss is not None
        if not front or one.loss < (front[-1].loss or 0.0):
            front.append(one)
    return front[::-1]


def _order(assessed: Assessed, objective: str) -> tuple[float, float]:
    return assessed.costs[objective], assessed.loss or 0.0
