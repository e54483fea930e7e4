"""Where a training stands, in plain numbers: with the learner's state, all that a checkpoint keeps."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field
from typing import Any

from thresher.events import TrainingStep, emit
from thresher.training.history import Epoch


@dataclass
class TrainState:
    """How far a training has come, and what it said on the way."""

    step: int = 0
    """Optimizer steps done."""
    epoch: int = 1
    """The one that goes on."""
    loss_sum: float = 0.0
    """Over the samples of this epoch so far."""
    num_samples: int = 0
    """The samples of this epoch so far."""
    recent_losses: list[float] = field(default_factory=list)
    """The losses of the steps since the last report."""
    seconds: float = 0.0
    """Spent on this epoch so far, in this process and in those before it."""
    best_epoch: int = 0
    best_score: float = math.inf
    """What is least of the best epoch: the validation loss, or what `best_by` names, with its sign."""
    finished: bool = False
    epochs: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    """What was reported, for an observer that a killed process never told."""
    began: float = field(default_factory=time.perf_counter)
    """The start of the time that is not yet in ``seconds``."""

    def add(self, loss: float, count: int) -> None:
        """Count a step on ``count`` samples with this mean loss."""
        self.loss_sum += loss * count
        self.num_samples += count
        self.recent_losses.append(loss)

    def report_step(self, name: str, total_steps: int, learning_rate: float) -> None:
        """Report the mean loss since the last report."""
        loss = sum(self.recent_losses) / len(self.recent_losses)
        step = TrainingStep(name, self.step, total_steps, loss, learning_rate)
        self.recent_losses = []
        self.steps.append(dataclasses.asdict(step))
        emit(step)

    def finish_epoch(self, validation_loss: float, validation_metric: float, best_by: float | None = None) -> Epoch:
        """Return the epoch that is done, and stand at the start of the next."""
        self.lap()
        epoch = Epoch(
            epoch=self.epoch,
            step=self.step,
            training_loss=self.loss_sum / self.num_samples,
            validation_loss=validation_loss,
            validation_metric=validation_metric,
            best_by=best_by,
            seconds=self.seconds,
        )
        self.epochs.append(epoch.model_dump())
        self.epoch += 1
        self.loss_sum, self.num_samples, self.recent_losses, self.seconds = 0.0, 0, [], 0.0
        return epoch

    def lap(self) -> None:
        """Add the time since the last lap to ``seconds``."""
        now = time.perf_counter()
        self.seconds, self.began = self.seconds + now - self.began, now

    def state(self) -> dict[str, Any]:
        """Return it as plain data."""
        self.lap()
        return {key: value for key, value in vars(self).items() if key != "began"}

    @classmethod
    def of(cls, state: dict[str, Any]) -> TrainState:
        """Return the position that `state` gave."""
        return cls(**state)
