"""Rules between techniques and the networks that they are given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thresher.compression.candidate import steps_upon
from thresher.compression.validate import find_depth_problems
from thresher.errors import nearest
from thresher.kinds.record import ModalityKind, ModelKind, TechniqueKind
from thresher.kinds.registry import kind_of, registry
from thresher.models import is_network
from thresher.models.pretrained.config import Pretrained
from thresher.recipe.partial import Found, PartialRecipe
from thresher.recipe.source import Place
from thresher.training.optimizers import measures_steps

COMPARED = (
    ("hidden", "has_blocks", "blocks whose states"),
    ("relations", "has_attention", "attention whose relations"),
)
"""What `distill` compares within networks: its field, what a model must have, and that in words."""


def find_technique_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    for name, candidate in parts.candidates.items():
        for index, step in enumerate(candidate.steps):
            place: Place = ("candidates", name, "steps", index)
            yield from _modality_problems(kind_of(TechniqueKind, step), place, parts)
            yield from _student_problems(getattr(step, "student", None), (*place, "student"), parts)
            given, before = steps_upon(name, index, parts.candidates, parts.model)
            yield from _once_problems(kind_of(TechniqueKind, step), before, place, "Leave one of them out.")
            yield from _lack_problems(kind_of(TechniqueKind, step), given, place)
            yield from _comparison_problems(step, given, place)
        for kind in candidate.search.techniques if candidate.search is not None else ():
            place = ("candidates", name, "search", "techniques")
            given, before = steps_upon(name, 0, parts.candidates, parts.model)
            technique = registry().find(TechniqueKind, kind)
            yield from _modality_problems(technique, place, parts)
            yield from _once_problems(technique, before, place, f"Leave {kind} out of them.")
            yield from _lack_problems(technique, given, place)
    for below, what, fix in find_depth_problems(parts.candidates, getattr(parts.model, "num_blocks", None)):
        yield ("candidates", *below), what, fix


def _modality_problems(technique: TechniqueKind, place: Place, parts: PartialRecipe) -> Iterable[Found]:
    takes = technique.takes
    if takes and parts.modality is not None and parts.modality not in takes:
        what = f"{technique.name} takes {' or '.join(takes)}, and data.modality is {parts.modality}"
        yield place, what, "Leave it out."


def _once_problems(technique: TechniqueKind, before: Iterable[Any], place: Place, fix: str) -> Iterable[Found]:
    if technique.once and technique.name in [each.kind for each in before]:
        yield place, f"{technique.name} comes a second time in this chain", fix


def _lack_problems(technique: TechniqueKind, model: Any, place: Place) -> Iterable[Found]:
    """Yield what ``model`` has none of, which ``technique`` would remove."""
    if model is None or not is_network(model):
        return
    own, leave = kind_of(ModelKind, model), f"Leave {technique.name} out of them."
    is_searched = place[2] == "search"
    if technique.removes_channels and not own.has_channels:
        fix = leave if is_searched else "Use prune_weights or quantize_dynamic."
        yield place, f"a {model.kind} has no channels that can be pruned", fix
    if technique.removes_blocks and not own.has_blocks:
        yield place, f"a {model.kind} has no blocks that can go whole", leave if is_searched else "Use prune_channels."


def _comparison_problems(step: Any, given: Any, place: Place) -> Iterable[Found]:
    """Yield networks that have nothing of what is to be compared within them."""
    for name, trait, lacks in COMPARED:
        asking = step if getattr(step, name, None) else getattr(step, "distill", None)
        if not getattr(asking, name, None):
            continue
        field = (name,) if asking is step else ("distill", name)
        for model in (given, getattr(step, "student", None)):
            if model is not None and not getattr(kind_of(ModelKind, model), trait):
                yield (*place, *field), f"a {model.kind} has no {lacks} could be compared", "Leave it out."


def _student_problems(student: Any, place: Place, parts: PartialRecipe) -> Iterable[Found]:
    known = {kind.name: kind for kind in registry().usable(ModalityKind)}.get(parts.modality or "")
    if student is None or known is None:
        return
    models = (kind for kind in registry().usable(ModelKind) if kind.is_trained_here and kind.is_network)
    able = [kind.name for kind in models if known.can_build(kind)]
    own = kind_of(ModelKind, student)
    if not known.can_build(own):
        what = f"a student of kind {own.name} takes {' or '.join(own.takes)}, and data.modality is {known.name}"
        yield (*place, "kind"), what, nearest(own.name, able)
    elif isinstance(student, Pretrained):
        yield from pretrained_problems(student, place, parts)
        if known.name == "text" and student.init == "weights" and not isinstance(parts.model, Pretrained | None):
            what = f"its weights know the tokens of its own tokenizer, and a {parts.model.kind} has another one"
            yield (*place, "init"), what, "Use init: random, or model: {kind: pretrained, path: FOLDER}."


def pretrained_problems(model: Pretrained, place: Place, parts: PartialRecipe) -> Iterable[Found]:
    """Yield what a pretrained ``model`` at ``place`` cannot be told, or not with this training."""
    if model.architecture is not None:
        yield (*place, "architecture"), "is read from config.json of the folder", "Leave it out."
    if model.layer_decay < 1 and parts.training is not None and measures_steps(parts.training.optimizer):
        what = f"{parts.training.optimizer.kind} has one rate for all weights"
        yield (*place, "layer_decay"), what, "Leave it out, or use another optimizer."
