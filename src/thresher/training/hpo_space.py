"""What a recipe lets vary in a search: places in the recipe, and the values that each may take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from thresher.config import Config

if TYPE_CHECKING:
    from optuna import Trial

WITH_KIND = ("training.optimizer", "training.schedule")
"""Places where a name alone stands for `{kind: NAME}`."""
Values = dict[str, Any]
"""Sections of a recipe as plain data: `model` and `training`."""


Number = Annotated[int | float, Field(allow_inf_nan=False)]


class Range(Config):
    """Numbers from ``low`` to ``high``, both included."""

    low: Number
    high: Number
    log: bool = False
    """Whether orders of magnitude are equally likely, as learning rates want it."""
    step: Number | None = None
    """Between neighbouring values. Where low and high are whole numbers, so are all between them."""

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, got {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("give one of log and step")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step {self.step:g} is not above 0")
        return self

    def suggest(self, trial: Trial, name: str) -> float | int:
        """Return the value that ``trial`` is to try."""
        low, high, step = self.low, self.high, self.step
        if isinstance(low, int) and isinstance(high, int) and not isinstance(step, float):
            return trial.suggest_int(name, low, high, log=self.log, step=step or 1)
        return trial.suggest_float(name, low, high, log=self.log, step=step)


class Choices(Config):
    """One of several values. A mapping among them may hold choices and ranges of its own."""

    choices: tuple[Any, ...] = Field(min_length=2)
    """What each trial draws from."""


def _read_dimension(given: Any) -> Any:
    if isinstance(given, list | tuple):
        return {"choices": given}
    return given


def _type_of(given: Any) -> str:
    """Return which of both ``given`` is meant for, so that problems are told of that one alone."""
    is_choices = isinstance(given, Choices) or (isinstance(given, dict) and "choices" in given)
    return (Choices if is_choices else Range).__name__


Dimension = Annotated[
    Annotated[Range, Tag("Range")] | Annotated[Choices, Tag("Choices")],
    Discriminator(_type_of),
    BeforeValidator(_read_dimension),
]
Place = Annotated[str, StringConstraints(pattern=r"^(model|training)(\.[a-z_]+)+$")]


class Search(Config):
    """Trainings with other settings, before the one that counts: it uses the best of them."""

    space: dict[Place, Dimension] = Field(min_length=1)
    """Place in the recipe, such as training.optimizer.lr or model.width -> a list of values, or {low, high, log}."""
    trials: int = Field(default=20, ge=1, le=100_000)
    """Trainings to do; a search that was interrupted goes on with the next."""
    minutes: float | None = Field(default=None, gt=0)
    """After which no further trial begins; a search that this ends may come out differently on another day."""
    epochs: int | None = Field(default=None, ge=1)
    """The epochs of each trial; `training.epochs` if it is not given."""
    prune: bool = True
    """Whether a trial ends early when it is worse than the median of the others at the same epoch."""


def suggest(space: dict[str, Dimension], trial: Trial) -> dict[str, Any]:
    """Return place -> the value that ``trial`` is to try."""
    return {place: _suggest(dimension, place.removeprefix("training."), trial) for place, dimension in space.items()}


def apply(chosen: dict[str, Any], values: Values) -> Values:
    """Return ``values`` with every place of ``chosen`` replaced, outer places before those within them."""
    changed = dict(values)
    for place in sorted(chosen, key=lambda place: place.count(".")):
        value = chosen[place]
        named = place in WITH_KIND and isinstance(value, str)
        _put(changed, place.split("."), {"kind": value} if named else value)
    return changed


def corners(space: dict[str, Dimension]) -> Iterator[tuple[str, Any]]:
    """Yield (place, value) for every choice and both ends of every range, each by itself: what a check must try."""
    for place, dimension in space.items():
        for value in _ends(dimension):
            yield place, value


def _suggest(dimension: Any, name: str, trial: Trial) -> Any:
    if isinstance(dimension, Range):
        return dimension.suggest(trial, name)
    # By its label: Optuna keeps texts and numbers alone, and a choice may be a mapping.
    labels = _labels(dimension)
    label = trial.suggest_categorical(name, labels)
    chosen = dimension.choices[labels.index(label)]
    if not isinstance(chosen, dict):
        return chosen
    return {key: _suggest_within(value, f"{name}.{label}.{key}", trial) for key, value in chosen.items()}


def _suggest_within(value: Any, name: str, trial: Trial) -> Any:
    return _suggest(_as_dimension(value), name, trial) if _is_dimension(value) else value


def _labels(dimension: Choices) -> list[str]:
    """Return a text for every choice: its kind where it has one and that is its own, else the whole."""
    kinds = [choice.get("kind") if isinstance(choice, dict) else choice for choice in dimension.choices]
    distinct = len({repr(kind) for kind in kinds}) == len(kinds)
    return [
        str(kind if distinct and kind is not None else choice)
        for kind, choice in zip(kinds, dimension.choices, strict=True)
    ]


def _ends(dimension: Any) -> list[Any]:
    if isinstance(dimension, Range):
        return [dimension.low, dimension.high]
    return [end for choice in dimension.choices for end in _ends_within(choice)]


def _ends_within(choice: Any) -> list[Any]:
    """Return ``choice`` with each of its own dimensions at its first end, and again at its last."""
    if not isinstance(choice, dict):
        return [choice]
    ends = {key: _ends(_as_dimension(value)) if _is_dimension(value) else [value] for key, value in choice.items()}
    return [{key: values[0] for key, values in ends.items()}, {key: values[-1] for key, values in ends.items()}]


def _is_dimension(value: Any) -> bool:
    return isinstance(value, dict) and bool({"low", "high", "choices"} & value.keys())


def _as_dimension(value: dict[str, Any]) -> Range | Choices:
    return Choices.model_validate(value) if "choices" in value else Range.model_validate(value)


def _put(values: Values, keys: list[str], value: Any) -> None:
    """Put ``value`` at ``keys``; the mappings on the way are copied, since others may hold them."""
    *way, last = keys
    here = values
    for key in way:
        here[key] = dict(here.get(key) or {})
        here = here[key]
    here[last] = value
