"""Explains one answer by occlusion: the model predicts copies of the sample, each without one of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from thresher.modalities.decision import choose_classes
from thresher.modalities.encoder import Encoder
from thresher.modalities.occlusion import Occlusion
from thresher.modalities.service import service_of
from thresher.serving.core.observers import Trace
from thresher.serving.core.predictor import EXPLAIN, Predictor

MAX_PIECE = 32
"""The copies that are queued at a time, so that other requests take turns with them."""


async def explain_sample(
    predictor: Predictor, sample: np.ndarray, raw: Any, asked: int | None, trace: Trace | None = None
) -> dict[str, Any]:
    """Return how much each part of ``sample``, encoded [1, ...], adds to the answer, as a JSON document.

    Args:
        raw: the sample as it was sent, a value of a JSON document or the bytes of a file.
        asked: the index of the class to explain; None for the predicted one.
        trace: of the request.

    Raises:
        OverloadedError, DeadlineError, InvalidInputError: see `Predictor.infer`.
    """
    encoder, info = predictor.bundle.encoder, predictor.bundle.info
    outputs = await predictor.infer(sample, EXPLAIN, trace=trace)
    base, answer = outputs[0], int(choose_classes(outputs, info.decision)[0])
    target = answer if asked is None else asked
    occlusion = service_of(encoder).occlude(sample, raw)
    pieces = cut_copies(occlusion, encoder, min(MAX_PIECE, info.max_batch_size))
    answers = [(await predictor.infer(piece, EXPLAIN, trace=trace))[:, target] for piece in pieces]
    # In double precision: two answers that are alike but for their last bits have a difference of few.
    drops = base[target].astype(np.float64) - np.concatenate(answers)
    return {
        "model": info.recipe,
        "model_version": info.model_version,
        **_describe_answer(base, answer, target, encoder.class_names),
        "method": "occlusion",
        "input": encoder.model_input.name,
        "num_copies": occlusion.num_copies,
        **occlusion.tell(drops),
    }


def _describe_answer(base: np.ndarray, answer: int, target: int, names: tuple[str, ...]) -> dict[str, Any]:
    numbers = base.tolist()
    if not names:
        return {"value": numbers[0]}
    return {"label": names[answer], "target": names[target], "probability": numbers[target]}


def cut_copies(occlusion: Occlusion, encoder: Encoder, size: int) -> Iterator[np.ndarray]:
    """Yield the copies in batches, each made when it is needed: those of a large image would fill the memory."""
    for start in range(0, occlusion.num_copies, size):
        indices = range(start, min(start + size, occlusion.num_copies))
        yield encoder.model_input.join([occlusion.copy(index) for index in indices])
