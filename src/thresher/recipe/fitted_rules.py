"""Rules for models that are no networks: they are fitted as a whole, and have no layers."""

from __future__ import annotations

from collections.abc import Iterable

from thresher.compression import works_on
from thresher.compression.candidate import steps_upon
from thresher.errors import nearest
from thresher.kinds.record import TechniqueKind
from thresher.kinds.registry import kind_of
from thresher.recipe.partial import Found, PartialRecipe
from thresher.training import Training

APPLY = ("seed", "class_weights", "execution", "search")
"""The settings of a training that a fit has, too."""
TEACH = "Leave it out, or put distill with a student before it: that is a network."


def find_fitted_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    if parts.training is not None:
        yield from _training_problems(parts, parts.training)
    yield from _candidate_problems(parts)


def _training_problems(parts: PartialRecipe, training: Training) -> Iterable[Found]:
    plain, kind = Training(), parts.model.kind
    # Students learn by all of it but the rate that a test on the float network would find.
    has_students = any(hasattr(step, "student") for each in parts.candidates.values() for step in each.steps)
    checked = ("learning_rate",) if has_students else Training.model_fields
    for name in checked:
        if name not in APPLY and getattr(training, name) != getattr(plain, name):
            what = f"a {kind} is fitted as a whole, and this is of networks"
            yield ("training", name), what, f"Leave it out: of training it has {', '.join(APPLY)}."
    for name in ("channels_last", "compile"):
        if not has_students and getattr(training.execution, name) != getattr(plain.execution, name):
            what = f"a {kind} is fitted as a whole, and this is of networks"
            yield ("training", "execution", name), what, "Leave it out: of execution it has threads."
    if training.search is None:
        return
    if training.search.epochs is not None:
        what = f"a {kind} has no epochs"
        yield ("training", "search", "epochs"), what, "Leave it out: the settings of model bound each trial."
    for place in training.search.space:
        if not place.startswith("model.") and place != "training.class_weights":
            able = [f"model.{name}" for name in type(parts.model).model_fields if name != "kind"]
            what = f"a {kind} is fitted as a whole, and this is of networks"
            yield ("training", "search", "space", place), what, nearest(place, [*able, "training.class_weights"])


def _candidate_problems(parts: PartialRecipe) -> Iterable[Found]:
    kind = parts.model.kind
    for name, candidate in parts.candidates.items():
        if candidate.search is not None and steps_upon(name, 0, parts.candidates, parts.model)[0] is parts.model:
            what = f"a {kind} is no network, whose layers a search could make smaller"
            yield ("candidates", name, "search"), what, "Leave it out, or search from a candidate with a student."
        for index, step in enumerate(candidate.steps):
            if steps_upon(name, index, parts.candidates, parts.model)[0] is not parts.model:
                continue
            if works_on(step) == "network" and not hasattr(step, "student"):
                what = f"{step.kind}: a {kind} is no network, which could be trained on or pruned"
                yield ("candidates", name, "steps", index), what, TEACH
            elif kind_of(TechniqueKind, step).quantizes:
                what = f"{step.kind}: a {kind} has no weights that could be stored in fewer bits"
                yield ("candidates", name, "steps", index), what, TEACH
