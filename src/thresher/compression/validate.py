"""What may follow what in the chains of a recipe's candidates."""

from __future__ import annotations

from typing import NamedTuple

from thresher.compression import Technique, works_on
from thresher.compression.budget import CandidateSearch
from thresher.compression.candidate import Candidate
from thresher.compression.file.optimize_graph import OptimizeGraph
from thresher.compression.file.quantize_weights import QuantizeWeights
from thresher.compression.network.drop_layers import DropLayers
from thresher.kinds.record import TechniqueKind
from thresher.kinds.registry import kind_of, registry


class ChainProblem(NamedTuple):
    """One step that cannot follow what comes before it.

    Attributes:
        place: below `candidates`.
        advice: what to do about it.
    """

    place: tuple[str | int, ...]
    what: str
    advice: str


class _Before(NamedTuple):
    """A step of a chain, and how it is called in an error."""

    step: Technique | CandidateSearch
    called: str


def find_chain_problems(candidates: dict[str, Candidate]) -> list[ChainProblem]:
    """Return what is wrong with every chain that makes no sense.

    A chain is judged with all that it inherits by `from`. Unknown names and circles are the caller's to report; they
    are passed over.
    """
    problems: list[ChainProblem] = []
    for name, candidate in candidates.items():
        if find_circle(name, candidates):
            continue
        chain = _inherited(candidate, candidates)
        if candidate.search and (before := _obstacle(candidate.search.finetune, chain)):
            advice = f"A search trains networks: start it from what comes before {before.called}."
            problems.append(ChainProblem((name, "search"), f"cannot follow {before.called}", advice))
        for index, step in enumerate(candidate.steps):
            if before := _obstacle(step, chain):
                what = f"{step.kind} cannot follow {before.called}"
                problems.append(ChainProblem((name, "steps", index), what, _advise(step, before)))
            chain.append(_Before(step, step.kind))
    return problems


def find_depth_problems(candidates: dict[str, Candidate], num_blocks: int | None) -> list[ChainProblem]:
    """Return what is wrong with every step that keeps no fewer blocks than there are.

    Args:
        num_blocks: of the float model; None where that is not known yet.
    """
    problems: list[ChainProblem] = []
    for name, candidate in candidates.items():
        if find_circle(name, candidates):
            continue
        inherited = [before.step for before in _inherited(candidate, candidates)]
        left = num_blocks
        for index, step in enumerate((*inherited, *candidate.steps), -len(inherited)):
            if (student := getattr(step, "student", None)) is not None:
                left = getattr(student, "num_blocks", None)
            if not isinstance(step, DropLayers):
                continue
            if left is not None and step.keep >= left and index >= 0:
                advice = f"Allowed: 1 to {left - 1}." if left > 1 else "Leave the step out."
                there = f"keeps {step.keep} of {left} block{'s' * (left > 1)}"
                problems.append(ChainProblem((name, "steps", index, "keep"), there, advice))
            left = step.keep
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


def _inherited(candidate: Candidate, candidates: dict[str, Candidate]) -> list[_Before]:
    """Return all that was done to what ``candidate`` starts from."""
    chain: list[_Before] = []
    parent, seen = candidate.from_, set[str]()
    while parent in candidates and parent not in seen:
        seen.add(parent)
        steps = [_Before(step, f"{step.kind} of '{parent}'") for step in candidates[parent].steps]
        if (search := candidates[parent].search) is not None:
            steps = [_Before(search, f"the search of '{parent}'")]
        chain = steps + chain
        parent = candidates[parent].from_
    return chain


def _obstacle(step: Technique, chain: list[_Before]) -> _Before | None:
    """Return what of ``chain`` the step cannot follow.

    Nothing but a clean-up follows what ends a chain, since neither gradients nor channels nor ranges survive it; and
    nothing of torch follows what is done to an ONNX file.
    """
    for before in chain:
        if _follows_all(step):
            # Folding constants would make floats of weights that are stored as integers again.
            stored = isinstance(before.step, QuantizeWeights) and before.step.unpack == "at_load"
            if stored and isinstance(step, OptimizeGraph) and step.level != "none":
                return before
        elif _ends_chain(before.step) or (works_on(step) == "network" and _is_on_file(before.step)):
            return before
    return None


def _advise(step: Technique, before: _Before) -> str:
    if _follows_all(step):
        return f"With `level: none` it may; any other makes floats of the integers that {before.called} stores."
    if isinstance(before.step, CandidateSearch):
        kinds = ", ".join(kind.name for kind in registry().usable(TechniqueKind) if kind.follows_all)
        return f"A search finds the whole chain; nothing but {kinds} may follow it."
    if _ends_chain(before.step):
        if _ends_chain(step) and not _follows_all(before.step):
            return f"Each of the two ends a chain: keep {step.kind} or {before.called}."
        so = " of this level, or with short_names," if isinstance(before.step, OptimizeGraph) else ""
        return f"{before.step.kind}{so} ends a chain: put {step.kind} before {before.called}."
    return f"{step.kind} works on the network, {before.step.kind} on the file that is exported of it: put it before."


def _is_on_file(step: Technique | CandidateSearch) -> bool:
    return not isinstance(step, CandidateSearch) and works_on(step) == "file"


def _follows_all(step: Technique) -> bool:
    return kind_of(TechniqueKind, step).follows_all


def _ends_chain(step: Technique | CandidateSearch) -> bool:
    if isinstance(step, OptimizeGraph):  # what it fuses cannot be quantized, and what it renames cannot be named
        return step.level not in ("none", "basic") or step.short_names
    return isinstance(step, CandidateSearch) or kind_of(TechniqueKind, step).ends_chain
