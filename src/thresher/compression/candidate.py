"""A candidate: where it starts from and the chain of steps that makes it, given or to be searched for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from thresher.compression import Technique, works_on
from thresher.compression.budget import CandidateSearch
from thresher.compression.network.finetune import teacher_names
from thresher.config import Config
from thresher.models import FLOAT
from thresher.models.pretrained.config import Pretrained


class Candidate(Config):
    """One competitor: a chain of techniques upon the float model or upon another candidate."""

    from_: str = Field(default=FLOAT, alias="from")
    """The candidate whose model the first step starts from."""
    steps: tuple[Technique, ...] = ()
    """Applied in order. Pruning and finetuning come first, what works on the ONNX file follows."""
    search: CandidateSearch | None = None
    """The search that finds the steps, in place of `steps`: the budget and the techniques that may be used."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_list(cls, value: Any) -> Any:
        return {"steps": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _has_steps_or_search(self) -> Candidate:
        if bool(self.steps) == (self.search is not None):
            raise ValueError("give one of steps and search")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return a schema of both ways to write a candidate: the mapping, and the bare list of its steps."""
        mapping = handler(core_schema)
        steps = handler.resolve_ref_schema(mapping)["properties"]["steps"]
        return {"anyOf": [mapping, {"type": "array", "items": steps["items"], "minItems": 1}]}

    @property
    def network_steps(self) -> tuple[Technique, ...]:
        """The steps that work on the torch network."""
        return tuple(step for step in self.steps if works_on(step) == "network")

    @property
    def onnx_steps(self) -> tuple[Technique, ...]:
        """The steps that work on the exported ONNX file."""
        return tuple(step for step in self.steps if works_on(step) == "file")

    @property
    def changes_network(self) -> bool:
        """Whether it has a network of its own, from which others may start and learn."""
        return bool(self.network_steps) or self.search is not None

    @property
    def is_timed(self) -> bool:
        """Whether its ONNX file depends on how fast this machine is."""
        return self.search is not None or any(getattr(step, "is_timed", False) for step in self.steps)

    @property
    def teachers(self) -> tuple[str, ...]:
        """The candidates that it distills from, each once, by name."""
        steps = (*self.steps, *((self.search.finetune,) if self.search else ()))
        return tuple(sorted({name for step in steps for name in teacher_names(step)}))

    @property
    def pretrained_students(self) -> dict[str, bool]:
        """Path of each folder that a student begins with -> whether its weights are taken, and not drawn."""
        students = [student for step in self.steps if isinstance(student := getattr(step, "student", None), Pretrained)]
        return {
            each.path: any(each.path == one.path and one.init == "weights" for one in students) for each in students
        }


def steps_upon(name: str, index: int, candidates: Mapping[str, Candidate], model: Any) -> tuple[Any, list[Technique]]:
    """Return the model that the step ``index`` of the candidate ``name`` is given, and the steps taken on it before.

    Args:
        model: the recipe's, which it is where no step makes a student.
    """
    steps, seen, before = candidates[name].steps[:index], {name}, list[Technique]()
    while True:
        for step in reversed(steps):
            if (student := getattr(step, "student", None)) is not None:
                return student, before
            before.append(step)
        name = candidates[name].from_
        if name not in candidates or name in seen:
            return model, before
        seen.add(name)
        steps = candidates[name].steps


class NamedCandidate(Candidate):
    """A candidate as a node receives it: it knows its key in the recipe."""

    name: str
