"""A chain's steps, one after another, each by its kind's own function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from thresher.compression import Technique
from thresher.compression.data import CalibrationData, CompressionData
from thresher.errors import CompressionError
from thresher.events import Step, emit
from thresher.kinds.record import TechniqueKind
from thresher.kinds.registry import kind_of

Model = TypeVar("Model")


def apply_steps(
    steps: Iterable[Technique],
    model: Model,
    data: CompressionData | CalibrationData,
) -> Model:
    """Return ``model``, a network or an ONNX file, after ``steps``.

    Raises:
        CompressionError: a step cannot be taken, or its function returns something else than it was given.
    """
    for step in steps:
        emit(Step(step.kind))
        made = kind_of(TechniqueKind, step).load()(model, step, data)
        if not isinstance(made, type(model)):
            got = "None" if made is None else f"a {type(made).__name__}"
            raise CompressionError(f"{step.kind} returned {got}, not {_name(type(model))}.")
        _describe_larger(step, model, made)
        model = made
    return model


def _describe_larger(step: Technique, before: object, after: object) -> None:
    """Say of a step on a file that it made it larger: not everything that is called a compression is one."""
    if isinstance(before, bytes) and isinstance(after, bytes) and len(after) > len(before):
        emit(
            Step(
                f"{step.kind} makes the file larger: {len(after):,} bytes of {len(before):,}, "
                f"{len(after) / len(before) - 1:+.1%}"
            )
        )


def _name(kind: type) -> str:
    return kind.__name__ if kind is bytes else f"a {kind.__name__}"
