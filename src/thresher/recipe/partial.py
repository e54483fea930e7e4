"""What can be read of a recipe, broken or not, section by section."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from thresher.compression.candidate import Candidate
from thresher.evaluation import Measurement
from thresher.evaluation.corruptions import CorruptionChoice
from thresher.evaluation.decision import Decision
from thresher.evaluation.selection import OBJECTIVE, Requirement, Slices
from thresher.models import ModelChoice
from thresher.recipe.source import Place
from thresher.training import Training

Found = tuple[Place, str, str]
"""Place, what is wrong, what is allowed."""
Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class PartialRecipe:
    """What the rules need of a recipe; a part that could not be read is left out, and its rules with it."""

    names: frozenset[str]
    """The names of all candidates, unreadable ones included."""
    candidates: dict[str, Candidate]
    minimize: str = OBJECTIVE
    maximize: str | None = None
    require: dict[str, Requirement] = field(default_factory=dict)
    require_on: dict[str, dict[str, Requirement]] = field(default_factory=dict)
    tests: frozenset[str] = frozenset()
    """The names under `data.tests`."""
    corruptions: dict[str, Any] = field(default_factory=dict)
    """Name -> settings, those that can be read; of others None."""
    slices: Slices | None = None
    batch_sizes: tuple[int, ...] | None = None
    computed: tuple[str, ...] = ()
    """Metrics that `evaluation.metrics` names."""
    task: str | None = None
    calibrate: str | None = None
    decision: Decision | None = None
    modality: str | None = None
    encoding: dict[Any, Any] = field(default_factory=dict)
    """What `data.encoding` says, as it is written."""
    model: Any = None
    training: Training | None = None

    @property
    def tokenizer(self) -> str | None:
        """What `data.encoding.tokenizer` says, where it says anything."""
        return _text(self.encoding.get("tokenizer"))

    @property
    def named_metrics(self) -> list[tuple[Place, str]]:
        """Every metric that the recipe names, with its place."""
        slices = self.slices.require if self.slices else {}
        key, objective = ("maximize", self.maximize) if self.maximize else ("minimize", self.minimize)
        return [
            *((("evaluation", "metrics", index), name) for index, name in enumerate(self.computed)),
            *((("selection", "require", name), name) for name in self.require),
            *((("selection", "slices", "require", name), name) for name in slices),
            *((("selection", "require_on", on, name), name) for on, each in self.require_on.items() for name in each),
            (("selection", key), objective),
            *([(("decision", "class"), f"recall[{self.decision.class_}]")] if self.decision else []),
            *([(("training", "best_by"), self.training.best_by)] if self.training else []),
        ]


def read_partial(values: dict[str, Any]) -> PartialRecipe:
    """Return all that can be read of ``values``, the raw recipe."""
    raw = {name: _mapping(values.get(name)) for name in ("candidates", "evaluation", "selection")}
    measurement = _try(Measurement, raw["evaluation"])
    data, require_on = _mapping(values.get("data")), _mapping(raw["selection"].get("require_on"))
    return PartialRecipe(
        names=frozenset(map(str, raw["candidates"])),
        candidates=_readable(Candidate, raw["candidates"]),
        minimize=_text(raw["selection"].get("minimize")) or OBJECTIVE,
        maximize=_text(raw["selection"].get("maximize")),
        require=_readable(Requirement, _mapping(raw["selection"].get("require"))),
        require_on={str(on): _readable(Requirement, _mapping(bounds)) for on, bounds in require_on.items()},
        tests=frozenset(map(str, _mapping(data.get("tests")))),
        corruptions={
            str(name): getattr(_try(CorruptionChoice, given), "root", None)
            for name, given in _mapping(data.get("corruptions")).items()
        },
        slices=_try(Slices, raw["selection"].get("slices")),
        batch_sizes=measurement.batch_sizes if measurement else None,
        computed=measurement.metrics if measurement else (),
        task=_text(values.get("task")),
        calibrate=_text(values.get("calibrate")),
        decision=_try(Decision, values.get("decision")),
        modality=_text(data.get("modality")),
        encoding=_mapping(data.get("encoding")),
        model=getattr(_try(ModelChoice, values.get("model")), "root", None),
        training=_try(Training, _mapping(values.get("training"))),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _readable(section: type[Section], raw: dict[Any, Any]) -> dict[str, Section]:
    read = {str(name): _try(section, value) for name, value in raw.items()}
    return {name: value for name, value in read.items() if value is not None}


def _try(section: type[Section], raw: Any) -> Section | None:
    try:
        return section.model_validate(raw)
    except ValidationError:
        return None
