"""Trees beside the float network: a row of the table that no verdict looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thresher.candidate_failure import CandidateFailure
from thresher.evaluation.reference import ROW, Reference, compare_with_reference
from thresher.evaluation.table import verdict_columns, verdict_rows
from thresher.evaluation.verdict import Judged, Verdict
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.modalities.tabular.table import Table
from thresher.pipelines.build import build_pipeline
from thresher.pipelines.select.nodes import compare_reference
from thresher.pipelines.train.nodes import fit_reference
from thresher.recipe import Recipe

ROWS = np.random.default_rng(0).normal(size=(600, 2))
TABLE = Table({"first": ROWS[:, 0], "second": ROWS[:, 1]})


def samples_of(labels: np.ndarray, names: tuple[str, ...] = ()) -> tuple[TabularEncoder, Samples, Samples, Samples]:
    encoder = TabularEncoder.fit(Samples(TABLE, labels, names), TabularEncoding())
    encoded = Samples(encoder.encode(TABLE), labels, names)
    return encoder, *(encoded.take(np.arange(start, start + 200)) for start in (0, 200, 400))


def compared(labels: np.ndarray, names: tuple[str, ...], float_outputs: np.ndarray) -> Reference:
    encoder, training, validation, test = samples_of(labels, names)
    onnx_file = fit_reference(training, validation, encoder, 1)
    assert isinstance(onnx_file, bytes) and onnx_file == fit_reference(training, validation, encoder, 1)
    reference = compare_reference(onnx_file, float_outputs, test, encoder, 1, {})
    assert reference.size_bytes == len(onnx_file)
    return reference


def verdict_with(reference: Reference, task: str, **metrics: Any) -> Verdict:
    judged = Judged(candidate="float", metrics=metrics, qualifies=False, reason="")
    return Verdict(
        recipe="r", task=task, minimize="size_bytes", candidates=(judged,), winner=None, machine={},
        measured=("2026-11-30", "2026-11-30"), num_test_samples=200, reference=reference,
    )  # fmt: skip


def test_classes_are_compared_with_float_on_the_test_split() -> None:
    labels = (ROWS[:, 0] * ROWS[:, 1] > 0).astype(np.int64)
    guesses = np.tile([0.6, 0.4], (200, 1)).astype(np.float32)
    reference = compared(labels, ("no", "yes"), guesses)
    assert reference.figures["accuracy"] > 0.8 and reference.lost is not None
    assert reference.lost.value == pytest.approx((labels[400:] == 0).mean() - reference.figures["accuracy"])
    assert reference.lost.upper < 0 and reference.sentence.endswith("no candidate; more accurate than float")
    verdict = verdict_with(reference, "classification")
    row = dict(zip(verdict_columns(verdict), verdict_rows(verdict)[-1], strict=True))
    assert row["candidate"] == ROW and row["accuracy"] == f"{reference.figures['accuracy']:.4f}"
    assert (row["verdict"], row["p50"]) == ("-", "-") and row["size"].endswith(" kB")


def test_values_are_compared_with_float_on_the_test_split() -> None:
    labels = 50 + 10 * np.sign(ROWS[:, 0])
    exact = labels[400:, None].copy()
    reference = compared(labels, (), exact)
    assert reference.figures["r2"] > 0.9 and reference.sentence.endswith("less accurate than float")
    assert reference.lost is not None and reference.lost.value == pytest.approx(reference.figures["rmse"])
    verdict = verdict_with(reference, "regression")
    row = dict(zip(verdict_columns(verdict), verdict_rows(verdict)[-1], strict=True))
    assert row["R2"] == f"{reference.figures['r2']:.4f}"


def test_what_is_no_better_or_worse_is_said_so() -> None:
    labels = np.arange(200) % 2
    outputs = np.eye(2, dtype=np.float32)[labels]
    assert (
        "not shown" in compare_with_reference(outputs, outputs, Samples(outputs, labels, ("a", "b")), 1, 0.95).sentence
    )


def test_a_reference_that_cannot_be_made_ends_no_run() -> None:
    labels = np.zeros(600, np.int64)
    labels[200:] = 1
    encoder, training, validation, test = samples_of(labels, ("no", "yes"))
    failure = fit_reference(training, validation, encoder, 1)
    assert isinstance(failure, CandidateFailure)
    reference = compare_reference(failure, np.zeros((200, 2), np.float32), test, encoder, 1, {})
    verdict = verdict_with(reference, "classification")
    row = verdict_rows(verdict)[-1]
    assert len(row) == len(verdict_columns(verdict)) and "one class, 'no'" in row[-1] and row[1] == "-"


@pytest.mark.parametrize(
    ("sections", "has"),
    [
        ({}, True),
        ({"reference": "none"}, False),
        ({"model": {"kind": "boosted_trees"}}, False),
        ({"decision": {"class": "yes", "threshold": 0.3}}, False),
        ({"data": {"modality": "series", "train": "raw.train", "test": "raw.test"}, "model": {"kind": "gru"}}, False),
    ],
    ids=["tables", "left out", "trees themselves", "a threshold", "series"],
)
def test_tables_have_one_unless_it_is_left_out(sections: dict[str, Any], has: bool) -> None:
    data = {"modality": "tabular", "train": "raw.train", "test": "raw.test"}
    recipe = Recipe.model_validate({"task": "classification", "data": data, "model": {"kind": "mlp"}, **sections})
    nodes = {node.func.__name__: node for node in build_pipeline("r", recipe).nodes}
    assert ({"fit_reference", "compare_reference"} <= nodes.keys()) is has
    assert ("r.reference" in nodes["judge_candidates"].inputs) is has
    if has:  # another float model fits no other trees, and they decide nothing
        assert "params:r.model" not in nodes["fit_reference"].inputs
        assert "r.reference" not in nodes["draw_verdict"].inputs + nodes["challenge_champion"].inputs
