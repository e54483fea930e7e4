"""float network -> (search_chain) -> (compress_network) -> export_network -> (quantize_onnx) -> a candidate's file.

With `calibrate` in the recipe, calibrate_onnx makes of it a file with other probabilities, and with `decision`,
decide_onnx one with the rule of its classes. The last of them is judged and served.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from thresher.compression.candidate import Candidate
from thresher.models import FLOAT, is_network
from thresher.models.imported.config import GraphModel
from thresher.pipelines.compress.nodes import (
    calibrate_onnx,
    compress_network,
    decide_onnx,
    export_network,
    quantize_onnx,
)
from thresher.pipelines.compress.search_nodes import measure_sensitivity, search_chain
from thresher.pipelines.stage import TIMED, TRAINS, served_file, stage_node, student_folders
from thresher.pipelines.train.pipeline import soft_labels, training_settings
from thresher.recipe import Recipe


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return a branch for the float model and one for every candidate of the recipe ``name``."""
    makes_file = isinstance(recipe.model, GraphModel) or not is_network(recipe.model)
    float_branch = [] if makes_file else [_float_branch(name)]
    training, networks = training_settings(name, recipe), _networks(name, recipe)
    measured = [_sensitivity(name, base, training) for base in sensitivity_bases(recipe)]
    branches = [_branch(name, key, candidate, training, networks) for key, candidate in recipe.candidates.items()]
    answers = [node for key in (FLOAT, *recipe.candidates) for node in _answers(name, key, recipe)]
    return Pipeline([*float_branch, *measured, *(node for branch in branches for node in branch), *answers])


def _networks(name: str, recipe: Recipe) -> dict[str, str]:
    """Return candidate -> the dataset with its network; in place of what is none, of what it answers to the samples."""
    networks = {key: f"{name}.{key}.network" for key in (FLOAT, *recipe.candidates)}
    return networks if is_network(recipe.model) else {**networks, FLOAT: soft_labels(name)}


def _float_branch(name: str) -> Node:
    exported = [f"{name}.{FLOAT}.network", f"{name}.validation_samples"]
    return stage_node(export_network, exported, f"{name}.{FLOAT}.onnx", ["compress", FLOAT], FLOAT)


def _answers(name: str, key: str, recipe: Recipe) -> list[Node]:
    """Return what makes the file that is served of what a candidate's chain came to; others begin before it."""
    own, tags = f"{name}.{key}", ["compress", key]
    samples = [f"{name}.validation_samples", f"{name}.encoder", f"params:{name}.evaluation.threads"]
    named = [] if key == FLOAT else [f"params:{name}.candidates.{key}.name"]
    calibrated, nodes = served_file(name, key, recipe.calibrate), []
    if recipe.calibrate:
        outputs = [calibrated, f"{own}.calibration"]
        nodes.append(stage_node(calibrate_onnx, [f"{own}.onnx", *samples, *named], outputs, tags, key))
    if recipe.decision:
        inputs = [calibrated, *samples, f"params:{name}.decision", *named]
        nodes.append(stage_node(decide_onnx, inputs, [f"{own}.decided_onnx", f"{own}.decision"], tags, key))
    return nodes


def sensitivity_bases(recipe: Recipe) -> list[str]:
    """Return the candidates whose channels others prune or search to prune; each layer of theirs is tried alone."""
    bases = {
        candidate.from_
        for candidate in recipe.candidates.values()
        if (candidate.search and candidate.search.prunes) or (candidate.from_ == FLOAT and _prunes_float(candidate))
    }
    return sorted(bases)


def _prunes_float(candidate: Candidate) -> bool:
    """Return whether channels of the float network go, and not those of a student in its place."""
    kinds = [step.kind for step in candidate.steps]
    students = [index for index, step in enumerate(candidate.steps) if hasattr(step, "student")]
    return "prune_channels" in kinds[: students[0] if students else None]


def _sensitivity(name: str, base: str, training: str) -> Node:
    samples = [f"{name}.training_samples", f"{name}.validation_samples"]
    inputs = [f"{name}.{base}.network", f"{name}.encoder", *samples, training]
    return stage_node(measure_sensitivity, inputs, f"{name}.{base}.sensitivity", ["compress", base], base)


def _branch(name: str, key: str, candidate: Candidate, training: str, networks: dict[str, str]) -> list[Node]:
    own, tags, data = f"{name}.{key}", ["compress", key], [f"{name}.encoder", f"{name}.training_samples"]
    steps = f"{own}.found_candidate" if candidate.search else f"params:{name}.candidates.{key}"
    nodes = [_search(name, key, candidate, training, networks)] if candidate.search else []
    # Whose network it is, its ONNX file is too: nothing of torch may follow what is done to a file.
    source = f"{name}.{candidate.from_}.onnx"
    changes_file = bool(candidate.onnx_steps or candidate.search)
    if candidate.changes_network:
        folders = student_folders(name, key, candidate)
        settings = [*_settings(name, key, steps, training), *_teachers(candidate, networks), *folders]
        inputs = [networks[candidate.from_], *data, *settings]
        nodes.append(stage_node(compress_network, inputs, f"{own}.network", [*tags, TRAINS], key))
        source = f"{own}.{'unquantized_' if changes_file else ''}onnx"
        exported = [f"{own}.network", f"{name}.validation_samples", f"params:{name}.candidates.{key}.name"]
        nodes.append(stage_node(export_network, exported, source, tags, key))
    if changes_file:
        timed = [f"params:{name}.evaluation.{setting}" for setting in ("threads", "batch_sizes")]
        samples = [*data, f"{name}.validation_samples"]
        inputs = [source, *samples, steps, f"params:{name}.training.seed", *(timed if candidate.is_timed else [])]
        tagged = [*tags, TIMED] if candidate.is_timed else tags
        nodes.append(stage_node(quantize_onnx, inputs, f"{own}.onnx", tagged, key))
    return nodes


def _search(name: str, key: str, candidate: Candidate, training: str, networks: dict[str, str]) -> Node:
    assert candidate.search is not None
    own, base = f"{name}.{key}", f"{name}.{candidate.from_}"
    models = [f"{base}.network", f"{name}.{FLOAT}.onnx", f"{name}.encoder", f"{name}.training_samples"]
    settings = _settings(name, key, f"params:{name}.candidates.{key}", training)
    curves = [f"{base}.sensitivity"] if candidate.search.prunes else []
    inputs = [*models, *settings, f"params:{name}.evaluation", *curves, *_teachers(candidate, networks)]
    outputs = [f"{own}.found_candidate", f"{own}.budget_search", f"{own}.budget_plot"]
    return stage_node(search_chain, inputs, outputs, ["compress", key, TIMED], key)


def _settings(name: str, key: str, steps: str, training: str) -> list[str]:
    """Return what making a network takes besides the one to begin with and the training samples."""
    return [f"{name}.validation_samples", steps, training, f"{name}.execution", f"{name}.{key}.checkpoints"]


def _teachers(candidate: Candidate, networks: dict[str, str]) -> list[str]:
    return [networks[teacher] for teacher in candidate.teachers]
