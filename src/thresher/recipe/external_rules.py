"""Rules for models that were trained elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from thresher.compression import works_on
from thresher.kinds.record import ModalityKind
from thresher.kinds.registry import registry
from thresher.models.imported.config import GraphModel
from thresher.recipe.partial import Found, PartialRecipe

AS_CHECKPOINT = "Load it as kind: checkpoint if it is one of Thresher's architectures, or use steps on the ONNX file."


def find_external_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield every broken rule."""
    yield from _training_problems(parts)
    if isinstance(parts.model, GraphModel):
        yield from _technique_problems(parts)
        yield from _task_problems(parts, parts.model)
        yield from _modality_problems(parts, parts.model)
        yield from _tokenizer_problems(parts, parts.model)


def _training_problems(parts: PartialRecipe) -> Iterable[Found]:
    """Yield the problems of settings for a training that does not take place."""
    if parts.training is None:
        return
    for name in ("search", "learning_rate"):
        if getattr(parts.training, name) is not None:
            what = f"a model of kind {parts.model.kind} is not trained here"
            yield ("training", name), what, "Leave it out; finetune takes the rest of this section."


def _technique_problems(parts: PartialRecipe) -> Iterable[Found]:
    what = f"a model of kind {parts.model.kind} is a graph, which cannot be trained or pruned"
    for name, candidate in parts.candidates.items():
        if candidate.search:
            yield ("candidates", name, "search"), what, AS_CHECKPOINT
        for index, step in enumerate(candidate.steps):
            if works_on(step) == "network":
                yield ("candidates", name, "steps", index), f"{step.kind}: {what}", AS_CHECKPOINT


def _task_problems(parts: PartialRecipe, model: GraphModel) -> Iterable[Found]:
    regression = parts.task == "regression"
    if model.output != "auto" and regression != (model.output == "value"):
        allowed = "auto or value" if regression else "auto, logits or probabilities"
        yield ("model", "output"), f"a {parts.task} has no output of {model.output}", f"Allowed: {allowed}."
    if regression and model.class_names:
        yield ("model", "class_names"), "a regression has no classes", "Leave it out."


def _tokenizer_problems(parts: PartialRecipe, model: GraphModel) -> Iterable[Found]:
    place = ("data", "encoding", "tokenizer")
    if model.tokenizer is None and parts.tokenizer == "pretrained":
        yield place, f"this {parts.model.kind} names no tokenizer", "Use word or bpe, or model: {tokenizer: FOLDER}."
    elif model.tokenizer is not None and parts.tokenizer not in (None, "pretrained"):
        what = f"model.tokenizer names the graph's own, and this is one of kind {parts.tokenizer}"
        yield place, what, "Leave out one of the two."


def _modality_problems(parts: PartialRecipe, model: GraphModel) -> Iterable[Found]:
    modalities = registry().usable(ModalityKind)
    known = next((kind for kind in modalities if kind.name == parts.modality), None)
    for name in dict.fromkeys(option for kind in modalities for option in kind.graph_options):
        is_said = getattr(model, name) != type(model).model_fields[name].get_default(call_default_factory=True)
        if known and is_said and name not in known.graph_options:
            able = [kind.name for kind in modalities if name in kind.graph_options]
            yield ("model", name), f"is for {' and '.join(able)}, and data.modality is {known.name}", "Leave it out."
