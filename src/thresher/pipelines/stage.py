"""Nodes of one recipe: named after their function; a candidate's own stand in its namespace."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline, node

from thresher.compression.candidate import Candidate

# The dots are meant: RECIPE.CANDIDATE.NAME is what the catalog's patterns and kedro viz read.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters", category=UserWarning)


MODEL_FILE = "model_file"
"""How the datasets with models that were trained elsewhere end."""
TIMED = "timed"
"""Tag of the nodes that measure time: what they give is reused only on the machine that it was measured on."""


TRAINS = "trains"
"""Tag of the nodes that train a network and report it while it goes on, epoch by epoch."""


def model_file(recipe: str) -> str:
    """Return the dataset with the file of a model that was not trained here: raw data, like samples."""
    return f"{recipe}.{MODEL_FILE}"


def student_folders(recipe: str, name: str, candidate: Candidate) -> dict[str, tuple[str, bool]]:
    """Return dataset -> path of a pretrained folder that a student of the candidate ``name`` has, and whether its
    weights are taken: raw data, too."""
    students = candidate.pretrained_students.items()
    return {f"{recipe}.{name}.{place}.{MODEL_FILE}": student for place, student in enumerate(students)}


def tokenizer_folder(recipe: str) -> str:
    """Return the dataset with the tokenizer of such a model, where that is a graph and its recipe names one."""
    return f"{recipe}.tokenizer.{MODEL_FILE}"


def served_file(recipe_name: str, candidate: str, calibrates: object, decides: object = None) -> str:
    """Return the dataset with the ONNX file of ``candidate`` that is judged and served.

    Args:
        calibrates, decides: what the recipe says of calibration and of a decision, if anything.
    """
    return f"{recipe_name}.{candidate}.{'decided_' if decides else 'calibrated_' if calibrates else ''}onnx"


def find_served_file(load: Callable[[str], Any], recipe_name: str, candidate: str) -> str:
    """Return what `served_file` does where ``load`` gives the recipe's parameters by their datasets' names."""
    calibrates, decides = (load(f"params:{recipe_name}.{setting}") for setting in ("calibrate", "decision"))
    return served_file(recipe_name, candidate, calibrates, decides)


def stage_node(
    function: Callable[..., Any],
    inputs: list[str] | dict[str, str],
    outputs: str | list[str],
    tags: list[str],
    candidate: str | None = None,
    name: str | None = None,
) -> Node:
    """Return the node `FUNCTION`, or `CANDIDATE.FUNCTION`, over full dataset names.

    Args:
        candidate: whose it is.
        name: in place of the function's, where there are several nodes of it.
    """
    return node(function, inputs, outputs, name=name or function.__name__, namespace=candidate, tags=tags)


def recipe_of(pipeline: Pipeline) -> str:
    """Return whose nodes ``pipeline`` holds, by the names of what they make; a run is of one recipe."""
    (recipe,) = {output.partition(".")[0] for output in pipeline.all_outputs()}
    return recipe
