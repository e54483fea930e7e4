"""float network -> (compress_network) -> export_network -> (quantize_onnx) -> the candidate's ONNX file."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from thresher.compression.candidate import Candidate
from thresher.models import FLOAT
from thresher.pipelines.compress.nodes import compress_network, export_network, quantize_onnx
from thresher.pipelines.stage import stage_node
from thresher.pipelines.train.pipeline import training_settings
from thresher.recipe import Recipe


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return a branch for the float model and one for every candidate of the recipe ``name``."""
    float_branch = [_export(name, FLOAT, f"{name}.{FLOAT}.onnx")]
    training = training_settings(name, recipe)
    branches = [_branch(name, key, candidate, training) for key, candidate in recipe.candidates.items()]
    return Pipeline([*float_branch, *(node for branch in branches for node in branch)])


def _branch(name: str, key: str, candidate: Candidate, training: str) -> list[Node]:
    data, steps = [f"{name}.encoder", f"{name}.training_samples"], f"params:{name}.candidates.{key}"
    own, tags = f"{name}.{key}", ["compress", key]
    nodes = []
    # Whose network it is, its ONNX file is too: nothing may follow a quantization.
    source = f"{name}.{candidate.from_}.onnx"
    if candidate.network_steps:
        base = f"{name}.{candidate.from_}.network"
        run = [f"{name}.execution", f"{own}.checkpoints"]
        nodes.append(
            stage_node(
                compress_network,
                [base, *data, f"{name}.validation_samples", steps, training, *run],
                f"{own}.network",
                tags,
                key,
            )
        )
        source = f"{own}.{'unquantized_' if candidate.onnx_steps else ''}onnx"
        nodes.append(_export(name, key, source))
    if candidate.onnx_steps:
        seed = f"params:{name}.training.seed"
        nodes.append(stage_node(quantize_onnx, [source, *data, steps, seed], f"{own}.onnx", tags, key))
    return nodes


def _export(name: str, key: str, target: str) -> Node:
    inputs = [f"{name}.{key}.network", f"{name}.validation_samples"]
    return stage_node(export_network, inputs, target, ["compress", key], key)
