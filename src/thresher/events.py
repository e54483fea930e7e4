"""What long work says while it runs. Observers subscribe; the work itself never knows who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class TrainingStep:
    """The mean loss over the last few optimizer steps of one training."""

    training: str
    step: int
    total_steps: int
    loss: float
    learning_rate: float
    """The learning rate at this step."""


@dataclass(frozen=True)
class TrainingEpoch:
    """One finished epoch."""

    training: str
    metric: str
    """accuracy (a share from 0 to 1) or rmse (in the label's own unit)."""
    epoch: int
    epochs: int
    """The number of epochs of the training."""
    step: int
    training_loss: float
    validation_loss: float
    validation_metric: float
    seconds: float
    best_by: float | None = None
    """What `training.best_by` names, where that is a metric."""


@dataclass(frozen=True)
class Step:
    """One part of a node that takes a while, in words."""

    text: str


@dataclass(frozen=True)
class Trial:
    """One finished trial of a search, or one that an interrupted search had done."""

    number: int
    trials: int
    settings: dict[str, Any]
    state: str
    validation_loss: float | None
    validation_losses: tuple[float, ...]
    seconds: float
    search: str = ""
    """The candidate whose chain is searched for; empty where it is the training's settings."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What a chain came to on the validation split, by the names of the metrics."""


@dataclass(frozen=True)
class Notice:
    """What a person should know of a result, in words."""

    text: str


Event = Trial | TrainingStep | TrainingEpoch | Step | Notice
Observer = Callable[[Event], None]

TRIAL = "trial "
"""Begins the names of the trainings of trials."""
_observers: list[Observer] = []
_in_trial: ContextVar[bool] = ContextVar("_in_trial", default=False)


def subscribe(observer: Observer) -> Callable[[], None]:
    """Call ``observer`` with every event from now on; return the function that ends it."""
    _observers.append(observer)
    return lambda: _observers.remove(observer)


def emit(event: Event) -> None:
    """Tell every observer of ``event``."""
    if _in_trial.get() and isinstance(event, TrainingStep | TrainingEpoch):
        event = replace(event, training=f"{TRIAL}of {event.training}")
    for observer in tuple(_observers):
        observer(event)


@contextmanager
def as_part_of_trial() -> Iterator[None]:
    """Let what is trained in the block be called a trial's, whatever it is called itself."""
    token = _in_trial.set(True)
    try:
        yield
    finally:
        _in_trial.reset(token)
