"""samples that keep their contract -> split, encoder -> encoded samples -> (search or range test) -> float model."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from thresher.models import FLOAT, is_network
from thresher.models.imported.config import Checkpoint, GraphModel, is_taken_as_it_is
from thresher.models.pretrained.config import Pretrained
from thresher.pipelines.stage import TIMED, TRAINS, model_file, stage_node, tokenizer_folder
from thresher.pipelines.train.nodes import (
    answer_out_of_fold,
    choose_execution,
    corrupt_test,
    encode_samples,
    encode_test_set,
    find_learning_rate,
    fit_encoder,
    fit_model,
    fit_reference,
    hold_out,
    import_model,
    import_network,
    plan_execution,
    search_fit,
    search_training,
    train_float,
)
from thresher.recipe import Recipe

TAGS = ["train"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the training stage of the recipe ``name``."""
    raw, held_out, encoder = [recipe.data.train, recipe.data.test], f"{name}.held_out", f"{name}.encoder"
    split = [f"params:{name}.task", f"params:{name}.data.validation", f"params:{name}.training.seed"]
    splits = [f"{name}.training_samples", f"{name}.validation_samples"]
    reports = [f"{name}.{key}.set_report" for key in recipe.data.tests]
    return Pipeline(
        [
            stage_node(hold_out, [raw[0], f"{name}.contract_report", *split, *reports], held_out, TAGS),
            stage_node(
                fit_encoder,
                [raw[0], held_out, f"params:{name}.data.encoding", *_encoder_files(name, recipe)],
                encoder,
                TAGS,
            ),
            stage_node(encode_samples, [*raw, held_out, encoder], [*splits, f"{name}.test_samples"], TAGS),
            *_test_sets(name, recipe),
            *_float_model(name, recipe),
            *([_reference(name)] if recipe.has_reference else []),
        ]
    )


def _reference(name: str) -> Node:
    data = [f"{name}.training_samples", f"{name}.validation_samples", f"{name}.encoder"]
    return stage_node(fit_reference, [*data, f"params:{name}.training.seed"], f"{name}.reference_onnx", TAGS)


def _float_model(name: str, recipe: Recipe) -> list[Node]:
    """Return what makes the float model, by what it is."""
    if is_taken_as_it_is(recipe.model):
        return _imports(name, recipe)
    return _trainings(name, recipe) if is_network(recipe.model) else _fits(name, recipe)


def _fits(name: str, recipe: Recipe) -> list[Node]:
    """Return what fits a model that is no network, and before it the search for its settings."""
    data = [f"{name}.training_samples", f"{name}.validation_samples", f"{name}.encoder"]
    inputs = [*data, model_settings(name, recipe), training_settings(name, recipe)]
    nodes = [stage_node(fit_model, inputs, [f"{name}.{FLOAT}.onnx", f"{name}.training_history"], [*TAGS, TRAINS])]
    if any(candidate.changes_network for candidate in recipe.candidates.values()):
        nodes.append(stage_node(answer_out_of_fold, inputs, soft_labels(name), TAGS))
        execution = [training_settings(name, recipe)]
        nodes.append(stage_node(plan_execution, execution, f"{name}.execution", [*TAGS, TIMED]))
    if recipe.training.search is not None:
        inputs = [*data, f"params:{name}.model", f"params:{name}.training", f"{name}.search_checkpoints"]
        nodes.append(stage_node(search_fit, inputs, _search_results(name), TAGS))
    return nodes


def soft_labels(name: str) -> str:
    """Return the dataset with what a float model that is no network teaches of each training sample."""
    return f"{name}.soft_labels"


def _search_results(name: str) -> list[str]:
    return [f"{name}.found_model", f"{name}.found_training", f"{name}.search_result", f"{name}.search_plot"]


def _test_sets(name: str, recipe: Recipe) -> list[Node]:
    """Return what makes the encoded samples of each further test set."""
    encoder, report, nodes = f"{name}.encoder", f"{name}.contract_report", []
    for key, entry in recipe.data.tests.items():
        inputs = [entry, encoder, f"{name}.{key}.set_report"]
        nodes.append(stage_node(encode_test_set, inputs, f"{name}.{key}.set_samples", TAGS, name=f"encode_set_{key}"))
    for key in recipe.data.corruptions:
        inputs = [recipe.data.test, encoder, report, f"params:{name}.data.corruptions.{key}"]
        outputs = [f"{name}.{key}.set_samples", f"{name}.{key}.examples"]
        nodes.append(stage_node(corrupt_test, inputs, outputs, TAGS, name=f"corrupt_test_{key}"))
    return nodes


def _trainings(name: str, recipe: Recipe) -> list[Node]:
    """Return what trains the float model, and before it what finds out how."""
    splits = [f"{name}.training_samples", f"{name}.validation_samples"]
    settings = [f"{name}.encoder", model_settings(name, recipe), training_settings(name, recipe)]
    run = [f"{name}.execution", f"{name}.float.checkpoints", *_begins_with(name, recipe)]
    outputs = [f"{name}.float.network", f"{name}.training_history"]
    return [*_preparations(name, recipe), stage_node(train_float, [*splits, *settings, *run], outputs, [*TAGS, TRAINS])]


def _imports(name: str, recipe: Recipe) -> list[Node]:
    """Return what reads a model that was trained elsewhere, and how to finetune it where a candidate may."""
    splits = [f"{name}.training_samples", f"{name}.validation_samples"]
    inputs = [model_file(name), *splits, f"{name}.encoder", f"params:{name}.model"]
    if isinstance(recipe.model, GraphModel):
        return [stage_node(import_model, inputs, [f"{name}.float.onnx", f"{name}.imported"], TAGS)]
    nodes = [stage_node(import_network, inputs, [f"{name}.float.network", f"{name}.imported"], TAGS)]
    if any(candidate.changes_network for candidate in recipe.candidates.values()):
        nodes.append(_execution(name, recipe))
    return nodes


def training_settings(name: str, recipe: Recipe) -> str:
    """Return the dataset with the settings that the recipe is trained by: its own, or those that were found."""
    found = recipe.training.search is not None or recipe.training.learning_rate == "auto"
    return f"{name}.found_training" if found else f"params:{name}.training"


def model_settings(name: str, recipe: Recipe) -> str:
    """Return the dataset with the model to train: the recipe's own, or the one that a search has found."""
    return f"{name}.found_model" if recipe.training.search is not None else f"params:{name}.model"


def _preparations(name: str, recipe: Recipe) -> list[Node]:
    """Return what finds out how to train, before the training itself."""
    training_samples, validation_samples = f"{name}.training_samples", f"{name}.validation_samples"
    encoder, settings = f"{name}.encoder", [f"params:{name}.model", f"params:{name}.training"]
    one = [training_samples, encoder, *settings]
    nodes = [_execution(name, recipe)]
    begins_with = _begins_with(name, recipe)
    if recipe.training.search is not None:
        both = [training_samples, validation_samples, encoder, *settings]
        inputs = [*both, f"{name}.execution", f"{name}.search_checkpoints", *begins_with]
        nodes.append(stage_node(search_training, inputs, _search_results(name), TAGS))
    elif recipe.training.learning_rate == "auto":
        outputs = [f"{name}.found_training", f"{name}.range_test", f"{name}.range_test_plot"]
        nodes.append(stage_node(find_learning_rate, [*one, f"{name}.execution", *begins_with], outputs, TAGS))
    return nodes


def _execution(name: str, recipe: Recipe) -> Node:
    inputs = [f"{name}.training_samples", f"{name}.encoder", f"params:{name}.model", f"params:{name}.training"]
    inputs += _begins_with(name, recipe)
    return stage_node(choose_execution, inputs, f"{name}.execution", [*TAGS, TIMED])


def _encoder_files(name: str, recipe: Recipe) -> list[str]:
    """Return the dataset with the folder that an encoder is read from; none where it is fitted here."""
    if isinstance(recipe.model, GraphModel) and recipe.model.tokenizer is not None:
        return [tokenizer_folder(name)]
    return _pretrained(name, recipe)


def _begins_with(name: str, recipe: Recipe) -> list[str]:
    """Return the dataset with what a training begins with: a folder, or a file; none where its weights are drawn."""
    further = isinstance(recipe.model, Checkpoint) and recipe.model.train
    return [model_file(name)] if further else _pretrained(name, recipe)


def _pretrained(name: str, recipe: Recipe) -> list[str]:
    """Return the dataset with the folder of a pretrained model; none where there is no such model."""
    return [model_file(name)] if isinstance(recipe.model, Pretrained) else []
