"""What a candidate's chain does, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thresher.compression import Technique
from thresher.compression.candidate import Candidate
from thresher.config import KindConfig


def chain_words(name: str, candidates: Mapping[str, Candidate]) -> tuple[str, ...]:
    """Return every step that makes the candidate ``name`` of the float model, those before its own too.

    A step is its kind and the settings that are not the defaults.
    """
    words: list[str] = []
    seen: set[str] = set()
    while name in candidates and name not in seen:
        seen.add(name)
        candidate = candidates[name]
        words = [*(step_words(step) for step in candidate.steps), *words]
        name = candidate.from_
    return tuple(words)


def step_words(step: Technique) -> str:
    """Return `kind (setting value, setting value)`."""
    settings = step.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    settings.pop("kind", None)
    for name, value in step:
        if name in settings and isinstance(value, KindConfig):  # whose kind is a default of its own
            settings[name] = {"kind": value.kind, **settings[name]}
    said = ", ".join(f"{key} {_describe(value)}" for key, value in settings.items())
    return f"{step.kind} ({said})" if said else step.kind


def _describe(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} {_describe(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_describe, value)) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
