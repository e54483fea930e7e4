"""A candidate: where it starts from and the chain of steps that makes it."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from thresher.compression import NetworkTechnique, OnnxTechnique, Technique
from thresher.config import Config
from thresher.models import FLOAT


class Candidate(Config):
    """One competitor: a chain of techniques upon the float model or upon another candidate."""

    from_: str = Field(default=FLOAT, alias="from")
    """The candidate whose model the first step starts from."""
    steps: tuple[Technique, ...] = Field(min_length=1)
    """Applied in order. Pruning and finetuning come first; one quantization may end the chain."""

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_list(cls, value: Any) -> Any:
        return {"steps": value} if isinstance(value, list) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return a schema of both ways to write a candidate: the mapping, and the bare list of its steps."""
        mapping = handler(core_schema)
        steps = handler.resolve_ref_schema(mapping)["properties"]["steps"]
        return {"anyOf": [mapping, {key: steps[key] for key in ("type", "items", "minItems")}]}

    @property
    def network_steps(self) -> tuple[Technique, ...]:
        """The steps that work on the torch network."""
        return tuple(step for step in self.steps if isinstance(step, get_args(NetworkTechnique)))

    @property
    def onnx_steps(self) -> tuple[Technique, ...]:
        """The steps that work on the exported ONNX file."""
        return tuple(step for step in self.steps if isinstance(step, get_args(OnnxTechnique)))


class NamedCandidate(Candidate):
    """A candidate as a node receives it: it knows its key in the recipe."""

    name: str


def find_chain_problems(candidates: dict[str, Candidate]) -> list[tuple[tuple[str | int, ...], str]]:
    """Return (place below `candidates`, what is wrong) for every chain that makes no sense.

    A chain is judged with all that it inherits by `from`: nothing follows a quantization, because neither gradients
    nor channels survive it. Unknown names and circles in `from` are the caller's to report; they are passed over.
    """
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for name, candidate in candidates.items():
        if find_circle(name, candidates):
            continue
        quantized_by = _inherited_quantization(candidate, candidates)
        for index, step in enumerate(candidate.steps):
            if quantized_by:
                problems.append(((name, "steps", index), f"{step.kind} cannot follow {quantized_by}"))
            elif isinstance(step, get_args(OnnxTechnique)):
                quantized_by = step.kind
    return problems


def find_circle(name: str, candidates: dict[str, Candidate]) -> list[str]:
    """Return the names on the way when following `from` leads back to ``name``, else nothing."""
    way = [name]
    while (parent := candidates[way[-1]].from_) in candidates:
        way.append(parent)
        if parent == name:
            return way
        if parent in way[:-1]:
            return []
    return []


def _inherited_quantization(candidate: Candidate, candidates: dict[str, Candidate]) -> str:
    seen, parent = set(), candidate.from_
    while parent in candidates and parent not in seen:
        seen.add(parent)
        if candidates[parent].onnx_steps:
            return f"{candidates[parent].onnx_steps[0].kind} of '{parent}'"
        parent = candidates[parent].from_
    return ""
