"""Rules between techniques and the networks that they are given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thresher.compression.candidate import model_at
from thresher.errors import nearest
from thresher.kinds.record import ModalityKind, ModelKind, TechniqueKind
from thresher.kinds.registry import kind_of, registry
from thresher.models.pretrained.config import Pretrained
from thresher.recipe.partial import Found, PartialRecipe
from thresher.recipe.source import Place


def find_technique_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    for name, candidate in parts.candidates.items():
        for index, step in enumerate(candidate.steps):
            place: Place = ("candidates", name, "steps", index)
            yield from _modality_problems(step, place, parts)
            yield from _student_problems(getattr(step, "student", None), (*place, "student"), parts)
            if kind_of(TechniqueKind, step).removes_channels:
                fix = "Use prune_weights or quantize_dynamic."
                yield from _channel_problems(model_at(name, index, parts.candidates, parts.model), place, fix)
        if candidate.search is not None and candidate.search.prunes:
            place, fix = ("candidates", name, "search", "techniques"), "Leave prune_channels out of them."
            yield from _channel_problems(model_at(name, 0, parts.candidates, parts.model), place, fix)


def _modality_problems(step: Any, place: Place, parts: PartialRecipe) -> Iterable[Found]:
    takes = kind_of(TechniqueKind, step).takes
    if takes and parts.modality is not None and parts.modality not in takes:
        yield place, f"{step.kind} takes {' or '.join(takes)}, and data.modality is {parts.modality}", "Leave it out."


def _channel_problems(model: Any, place: Place, fix: str) -> Iterable[Found]:
    if model is not None and not kind_of(ModelKind, model).has_channels:
        yield place, f"a {model.kind} has no channels that can be pruned", fix


def _student_problems(student: Any, place: Place, parts: PartialRecipe) -> Iterable[Found]:
    known = {kind.name: kind for kind in registry().usable(ModalityKind)}.get(parts.modality or "")
    if student is None or known is None:
        return
    able = [kind.name for kind in registry().usable(ModelKind) if known.can_build(kind) and kind.is_trained_here]
    own = kind_of(ModelKind, student)
    if not known.can_build(own):
        what = f"a student of kind {own.name} takes {' or '.join(own.takes)}, and data.modality is {known.name}"
        yield (*place, "kind"), what, nearest(own.name, able)
    elif isinstance(student, Pretrained):
        what = "a student learns from nothing, and a pretrained model has a folder to begin with"
        yield (*place, "kind"), what, nearest("", [name for name in able if name != own.name])
