"""Rules between data, model and training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from thresher.errors import nearest
from thresher.kinds.metric_names import find_whole
from thresher.kinds.record import AugmentationKind, ModalityKind, ModelKind
from thresher.kinds.registry import kind_of, registry
from thresher.models import ModelChoice, is_network
from thresher.models.imported.config import Checkpoint, GraphModel, is_taken_as_it_is
from thresher.models.pretrained.config import Pretrained
from thresher.recipe.external_rules import find_external_problems
from thresher.recipe.fitted_rules import find_fitted_problems
from thresher.recipe.partial import Found, PartialRecipe
from thresher.recipe.technique_rules import find_technique_problems, pretrained_problems
from thresher.training import Training
from thresher.training.hpo_space import apply, corners
from thresher.training.optimizers import measures_steps

SAME_LENGTH = ("image", "tabular")
"""Modalities of which no sample is longer than another."""


def find_training_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    if is_taken_as_it_is(parts.model):
        yield from find_external_problems(parts)
        training = None if parts.training is None else parts.training.model_copy(update={"search": None})
        parts = replace(parts, model=None if isinstance(parts.model, GraphModel) else parts.model, training=training)
    if parts.model is not None and not is_network(parts.model):
        yield from find_fitted_problems(parts)
    if isinstance(parts.model, Checkpoint):
        parts = replace(parts, model=parts.model.network)
    yield from _model_problems(parts)
    yield from _pretrained_problems(parts)
    yield from find_technique_problems(parts)
    if parts.training is not None:
        yield from _data_problems(parts, parts.training)
        yield from _best_by_problems(parts, parts.training)
        yield from _search_problems(parts, parts.training)


def _model_problems(parts: PartialRecipe) -> Iterable[Found]:
    if parts.model is None or parts.modality is None:
        return
    known = {kind.name: kind for kind in registry().usable(ModalityKind)}.get(parts.modality)
    own = kind_of(ModelKind, parts.model)
    if known and not known.can_build(own):
        able = [kind.name for kind in registry().usable(ModelKind) if known.can_build(kind)]
        what = f"model {own.name} takes {' or '.join(own.takes)}, and data.modality is {known.name}"
        yield ("model", "kind"), what, nearest(parts.model.kind, able)


def _pretrained_problems(parts: PartialRecipe) -> Iterable[Found]:
    """A pretrained model and its tokenizer belong together, and its config.json is read from its folder alone."""
    place = ("data", "encoding", "tokenizer")
    if not isinstance(parts.model, Pretrained):
        if parts.tokenizer == "pretrained" and parts.model is not None:
            what = f"a {parts.model.kind} brings no tokenizer along"
            yield place, what, "Use word or bpe, or model: {kind: pretrained, path: FOLDER}."
        return
    if parts.tokenizer not in (None, "pretrained"):
        what = f"a pretrained model takes tokens of its own tokenizer, not of one of kind {parts.tokenizer}"
        yield place, what, "Leave it out."
    yield from pretrained_problems(parts.model, ("model",), parts)


def _data_problems(parts: PartialRecipe, training: Training) -> Iterable[Found]:
    takes = [kind_of(AugmentationKind, each).takes for each in training.augmentation]
    if parts.modality is not None and not all(parts.modality in each for each in takes):
        yield ("training", "augmentation"), f"there is none for {parts.modality}", "Leave it out: it is for images."
    yield from _class_problems(parts, training)
    if training.group_by_length and parts.modality in SAME_LENGTH:
        yield ("training", "group_by_length"), f"every sample of {parts.modality} is of one size", "Leave it out."
    if training.group_by_length and training.batch_size == "full":
        yield ("training", "group_by_length"), "there is one batch of all samples", "Leave out one of the two."
    # As the recipe writes it: in a complete one every optimizer has a rate.
    if training.learning_rate == "auto" and "lr" in training.optimizer.model_fields_set:
        yield ("training", "optimizer", "lr"), "learning_rate: auto finds the rate", "Leave out one of the two."
    if measures_steps(training.optimizer) and training.learning_rate == "auto":
        what = f"{training.optimizer.kind} finds the length of each step itself"
        yield ("training", "learning_rate"), what, "Leave it out."
    if measures_steps(training.optimizer) and training.batch_size != "full":
        what = f"{training.optimizer.kind} measures its steps on one loss, and mini-batches have one each"
        yield ("training", "batch_size"), what, "Use batch_size: full."


def _class_problems(parts: PartialRecipe, training: Training) -> Iterable[Found]:
    if parts.task == "regression":
        for name in ("label_smoothing", "class_weights", "sampling", "focal_gamma"):
            if getattr(training, name):
                yield ("training", name), "a regression has no classes", "Leave it out."
    if training.sampling and training.batch_size == "full":
        yield ("training", "sampling"), "there is one batch of all samples", "Leave out one of the two."


def _best_by_problems(parts: PartialRecipe, training: Training) -> Iterable[Found]:
    best_by = None if training.best_by == "loss" else find_whole(training.best_by)
    if best_by is not None and parts.task and best_by.task not in (None, parts.task):
        yield ("training", "best_by"), f"'{best_by.name}' is not measured in a {parts.task}", "Leave it out."


def _search_problems(parts: PartialRecipe, training: Training) -> Iterable[Found]:
    if training.search is None:
        return
    if training.learning_rate == "auto":
        yield ("training", "learning_rate"), "the search finds the rate already", "Leave it out."
        return
    for place in training.search.space:
        if place.startswith("training.search"):
            yield ("training", "search", "space", place), "a search cannot search itself", "Leave it out."
    if parts.model is None:
        return
    complete = {"model": parts.model.model_dump(mode="json"), "training": training.model_dump(mode="json")}
    for place, value in corners(training.search.space):
        if problem := _refused(complete, place, value):
            yield ("training", "search", "space", place), f"{value!r} is not possible: {problem}", ""


def _refused(sections: dict[str, Any], place: str, value: Any) -> str:
    """Return why a recipe with ``value`` at ``place`` cannot be, or nothing."""
    values = apply({place: value}, sections)
    section, model = ("model", ModelChoice) if place.startswith("model.") else ("training", Training)
    try:
        model.model_validate(values[section])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, (section, *first['loc'])))}: {first['msg']}"
    return ""
