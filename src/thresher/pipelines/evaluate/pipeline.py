"""each candidate's ONNX file -> its predictions on the test split -> its evaluation, beside the float model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline

from thresher.models import FLOAT
from thresher.models.imported.config import is_taken_as_it_is
from thresher.pipelines.evaluate.nodes import (
    check_exported,
    evaluate_candidate,
    evaluate_float,
    predict_test,
)
from thresher.pipelines.stage import TIMED, served_file, stage_node
from thresher.recipe import Recipe


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return prediction and evaluation for the float model and every candidate of the recipe ``name``."""
    branches = [node for key in (FLOAT, *recipe.candidates) for node in _branch(name, key, recipe)]
    told = f"{name}.{'imported' if is_taken_as_it_is(recipe.model) else 'training_history'}"
    file, samples = f"{name}.{FLOAT}.onnx", [f"{name}.validation_samples", f"{name}.encoder"]
    inputs = [file, *samples, f"params:{name}.evaluation.threads", told]
    checked = stage_node(check_exported, inputs, f"{name}.exported_quality", ["evaluate", FLOAT], FLOAT)
    return Pipeline([checked, *branches])


def _branch(name: str, key: str, recipe: Recipe) -> list[Node]:
    tags = ["evaluate", key]
    onnx_file, float_file = (served_file(name, each, recipe.calibrate, recipe.decision) for each in (key, FLOAT))
    predictions = f"{name}.{key}.predictions"
    samples = [f"{name}.test_samples", f"{name}.encoder"]
    test = [*samples, f"params:{name}.evaluation"]
    own_name = [] if key == FLOAT else [f"params:{name}.candidates.{key}.name"]
    how = [f"{name}.encoder", f"params:{name}.evaluation.threads", *own_name]
    function: Callable[..., Any] = evaluate_float
    inputs = [onnx_file, predictions, *test]
    if key != FLOAT:
        pairs = [onnx_file, float_file, predictions, f"{name}.{FLOAT}.predictions"]
        function, inputs = evaluate_candidate, [*pairs, *test, *own_name]
    on_sets = [
        stage_node(
            predict_test,
            [onnx_file, f"{name}.{on}.set_samples", *how],
            f"{name}.{key}.{on}.set_predictions",
            tags,
            key,
            name=f"predict_{on}",
        )
        for on in recipe.data.test_sets
    ]
    return [
        stage_node(predict_test, [onnx_file, f"{name}.test_samples", *how], predictions, tags, key),
        *on_sets,
        stage_node(function, inputs, f"{name}.{key}.evaluation", [*tags, TIMED], key),
    ]
