"""When a training writes its state, and how it goes on from one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from thresher.events import Step, TrainingEpoch, TrainingStep, emit
from thresher.training.checkpoints import Checkpoints
from thresher.training.history import Epoch
from thresher.training.train_state import TrainState
from thresher.training.trainer import Trainer

MIN_SECONDS = 1.0
"""Between two checkpoints of epochs that are shorter: writing them all would take longer than the epochs."""


class Saver:
    """Keeps the state of one training in ``checkpoints``; does nothing where there are none.

    Args:
        seconds: between two checkpoints within an epoch.
    """

    def __init__(self, checkpoints: Checkpoints | None, name: str, key: str, seconds: float) -> None:
        self._checkpoints, self._name, self._key, self._seconds = checkpoints, name, key, seconds
        self._saved = time.monotonic()

    def restore(self, learner: Trainer) -> TrainState:
        """Return where the training stands, with ``learner`` as it was there."""
        state: Any = self._checkpoints.load(self._name, self._key) if self._checkpoints is not None else None
        if state is None:
            return TrainState()
        learner.load_state(state["learner"])
        learner.random.states = state["random"]
        return TrainState.of(state["position"])

    def is_due(self) -> bool:
        """Return whether the last checkpoint lies so many seconds back."""
        return self._checkpoints is not None and time.monotonic() - self._saved >= self._seconds

    def is_due_after_epoch(self, position: TrainState) -> bool:
        """Return whether a finished epoch is to be kept now; the last one always is."""
        least = min(self._seconds, MIN_SECONDS)
        return self._checkpoints is not None and (position.finished or time.monotonic() - self._saved >= least)

    def save(self, learner: Trainer, position: TrainState) -> None:
        """Write the state. Weights that are not finite are no place to go on from: the last state stays."""
        assert self._checkpoints is not None
        if learner.is_finite():
            state = {"learner": learner.state(), "position": position.state(), "random": learner.random.states}
            self._checkpoints.save(self._name, self._key, state, position.finished)
        self._saved = time.monotonic()

    def last(self) -> Path | None:
        """Return the newest checkpoint of this training."""
        path = self._checkpoints.path(self._name, self._key) if self._checkpoints is not None else None
        return path if path is not None and path.exists() else None


def report_again(
    position: TrainState, name: str, metric: str, num_epochs: int, on_epoch: Callable[[Epoch], None] | None
) -> None:
    """Tell observers what a killed process had told its own, in the same order."""
    events: list[tuple[int, TrainingStep | Epoch]] = [(step["step"], TrainingStep(**step)) for step in position.steps]
    events += [(epoch["step"], Epoch.model_validate(epoch)) for epoch in position.epochs]
    for _, event in sorted(events, key=lambda pair: pair[0]):
        if isinstance(event, TrainingStep):
            emit(event)
        else:
            report_epoch(event, name, metric, num_epochs)
            if on_epoch is not None:
                on_epoch(event)


def report_epoch(epoch: Epoch, name: str, metric: str, num_epochs: int) -> None:
    """Tell observers of an epoch."""
    emit(TrainingEpoch(training=name, metric=metric, epochs=num_epochs, **epoch.model_dump()))


def log_resume(position: TrainState, name: str, total_steps: int) -> None:
    """Say that a training does not begin at its start."""
    where = "is finished" if position.finished else f"continues at step {position.step:,} of {total_steps:,}"
    emit(Step(f"{name} {where}"))
