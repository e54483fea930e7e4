"""A candidate: where it starts from and the chain of steps that makes it, given or to be searched for."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from thresher.compression import (
    FOLLOWS_ALL,
    LAST,
    NetworkTechnique,
    OnnxTechnique,
    OptimizeGraph,
    QuantizeWeights,
    Technique,
)
from thresher.compression.budget import CandidateSearch
from thresher.compression.finetune import teacher_names
from thresher.config import Config
from thresher.models import FLOAT


class Candidate(Config):
    """One competitor: a chain of techniques upon the float model or upon another candidate."""

    from_: str = Field(default=FLOAT, alias="from")
    """The candidate whose model the first step starts from."""
    steps: tuple[Technique, ...] = ()
    """Applied in order. Pruning and finetuning come first, what works on the ONNX file follows."""
    search: CandidateSearch | None = None
    """In place of the steps: what they must come to, and what they may be."""

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
        return tuple(step for step in self.steps if isinstance(step, get_args(NetworkTechnique)))

    @property
    def onnx_steps(self) -> tuple[Technique, ...]:
        """The steps that work on the exported ONNX file."""
        return tuple(step for step in self.steps if isinstance(step, get_args(OnnxTechnique)))

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


class NamedCandidate(Candidate):
    """A candidate as a node receives it: it knows its key in the recipe."""

    name: str


Chain = list[tuple[Technique | CandidateSearch, str]]
"""Each step, and how it is called in an error."""


def find_chain_problems(candidates: dict[str, Candidate]) -> list[tuple[tuple[str | int, ...], str]]:
    """Return (place below `candidates`, what is wrong) for every chain that makes no sense.

    A chain is judged with all that it inherits by `from`. Unknown names and circles are the caller's to report; they
    are passed over.
    """
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for name, candidate in candidates.items():
        if find_circle(name, candidates):
            continue
        chain = _inherited(candidate, candidates)
        if candidate.search and (before := _obstacle(candidate.search.finetune, chain)):
            problems.append(((name, "search"), f"cannot follow {before}"))
        for index, step in enumerate(candidate.steps):
            if before := _obstacle(step, chain):
                problems.append(((name, "steps", index), f"{step.kind} cannot follow {before}"))
            chain.append((step, step.kind))
    return problems


def find_circle(name: str, candidates: dict[str, Candidate]) -> list[str]:
    """Return the names on the way when following `from` and `distill.from` leads back to ``name``, else nothing."""
    ways, seen = [[name]], {name}
    while ways:
        way = ways.pop()
        if way[-1] not in candidates:
            continue
        for parent in (candidates[way[-1]].from_, *candidates[way[-1]].teachers):
            if parent == name:
                return [*way, parent]
            if parent not in seen:
                seen.add(parent)
                ways.append([*way, parent])
    return []


def _inherited(candidate: Candidate, candidates: dict[str, Candidate]) -> Chain:
    """Return all that was done to what ``candidate`` starts from."""
    chain: Chain = []
    parent, seen = candidate.from_, set[str]()
    while parent in candidates and parent not in seen:
        seen.add(parent)
        steps: Chain = [(step, f"{step.kind} of '{parent}'") for step in candidates[parent].steps]
        if (search := candidates[parent].search) is not None:
            steps = [(search, f"the search of '{parent}'")]
        chain = steps + chain
        parent = candidates[parent].from_
    return chain


def _obstacle(step: Technique, chain: Chain) -> str:
    """Return what of ``chain`` the step cannot follow, or nothing.

    Nothing but a clean-up follows what ends a chain, since neither gradients nor channels nor ranges survive it; and
    nothing of torch follows what is done to an ONNX file.
    """
    on_network = isinstance(step, get_args(NetworkTechnique))
    for before, called in chain:
        if isinstance(step, FOLLOWS_ALL):
            # Folding constants would make floats of weights that are stored as integers again.
            stored = isinstance(before, QuantizeWeights) and before.unpack == "at_load"
            if stored and isinstance(step, OptimizeGraph) and step.level != "none":
                return called
        elif _ends_chain(before) or (on_network and isinstance(before, get_args(OnnxTechnique))):
            return called
    return ""


def _ends_chain(step: Technique | CandidateSearch) -> bool:
    if isinstance(step, OptimizeGraph):  # what it fuses cannot be quantized, and what it renames cannot be named
        return step.level not in ("none", "basic") or step.short_names
    return isinstance(step, (*LAST, CandidateSearch))
