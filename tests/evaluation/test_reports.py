"""Table, card and plot show every candidate, whoever wins."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from helpers.any_modality import make_samples
from matplotlib.figure import Figure

from thresher.evaluation.card import model_card
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.plots import _pareto_front, plot_verdict
from thresher.evaluation.selection import Selection
from thresher.evaluation.table import verdict_columns, verdict_markdown, verdict_rows
from thresher.evaluation.verdict import Verdict, judge
from thresher.modalities.fingerprint import DataFingerprint, fingerprint
from thresher.models import ModelChoice
from thresher.training import Training

DROPPED = str.maketrans("", "", "[],")
NAMES = ["float", "half", "int8"]


@pytest.fixture(params=["classification", "regression"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["half", None], ids=["somebody wins", "nobody qualifies"])
def verdict(task: str, request: pytest.FixtureRequest, evaluation: Callable[..., Evaluation]) -> Verdict:
    half = {"lost": 20, "gained": 5} if task == "classification" else {"worse": 0.3}
    same = {} if task == "classification" else {"worse": 0.0}
    evaluations = [evaluation(**same), evaluation("half", 0.5, **half), evaluation("int8", 2, **same)]
    require = {} if request.param else {"macs": {"at_most": 1}}
    selection = Selection.model_validate({"require": require})
    verdict = judge("digits", {one.candidate: one for one in evaluations}, selection)
    assert verdict.winner == request.param
    return verdict


@pytest.fixture
def data(task: str) -> DataFingerprint:
    return DataFingerprint(
        train_sha256="a" * 64, test_sha256="b" * 64, num_train_samples=1437, num_test_samples=1000,
        class_names=("zero", "one") if task == "classification" else (), inputs="uint8 1x8x8",
    )  # fmt: skip


def test_the_table_has_one_row_a_candidate_with_its_reason(verdict: Verdict) -> None:
    rows, columns = verdict_rows(verdict), verdict_columns(verdict)
    assert [row[0] for row in rows] == NAMES
    assert {len(row) for row in rows} == {len(columns)}
    assert [row[-1] for row in rows] == [judged.reason for judged in verdict.candidates]
    states = ["qualifies", "WINS", "fails"] if verdict.winner else ["fails"] * 3
    assert [row[columns.index("verdict")] for row in rows] == states


def test_the_markdown_table_is_whole(verdict: Verdict) -> None:
    lines = verdict_markdown(verdict).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert {line.count("|") for line in lines} == {len(verdict_columns(verdict)) + 1}


def test_the_card_says_what_the_model_was_made_and_judged_on(
    verdict: Verdict, data: DataFingerprint, task: str
) -> None:
    labels = "2 classes: zero, one" if task == "classification" else "numbers; RMSE and MAE are in their unit"
    trained = Training.model_validate({"optimizer": {"kind": "adam", "lr": 0.00628}, "batch_size": 32, "epochs": 3})
    model = ModelChoice.model_validate({"kind": "cnn"})
    card = model_card(verdict, data, "Handwritten digits", model, trained, found=True)
    assert "Model cnn, by adam, learning rate 0.00628, batches of 32, 3 epochs, seed 1. Some of it was found" in card
    assert "was found" not in model_card(verdict, data, "Handwritten digits", model, trained, found=False)
    for text in ("# digits", "Handwritten digits", verdict_markdown(verdict), "a" * 64, "b" * 64, "1,437", "1x8x8",
                 f"Labels: {labels}.", "at 95%", "- processor: a processor", "- vnni: no"):  # fmt: skip
        assert text in card
    assert f"Winner: **{verdict.winner or 'none, no candidate qualifies'}**" in card
    assert "{" not in card


def test_the_plot_names_every_candidate_in_both_parts(verdict: Verdict) -> None:
    figure = plot_verdict(verdict)
    assert isinstance(figure, Figure)
    latency, size = figure.axes
    for axis in (latency, size):
        assert {text.get_text() for text in axis.texts} == set(NAMES)
    assert latency.get_ylabel().startswith("accuracy" if verdict.task == "classification" else "RMSE, less is better")
    assert ("half" in figure.get_suptitle()) is (verdict.winner is not None)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_the_pareto_front_has_those_that_no_other_beats_in_both() -> None:
    points = [(3.0, 0.9), (1.0, 0.5), (2.0, 0.4), (2.0, 0.8), (4.0, 0.9)]
    assert _pareto_front(points) == [(1.0, 0.5), (2.0, 0.8), (3.0, 0.9)]
    assert _pareto_front(points, sign=-1) == [(1.0, 0.5), (2.0, 0.4)]


def test_the_columns_of_quality_are_the_tasks_own(verdict: Verdict, task: str) -> None:
    half = dict(zip(verdict_columns(verdict), verdict_rows(verdict)[1], strict=True))
    if task == "classification":
        assert (half["accuracy"], half["drop [interval]"][:9]) == ("0.8850", "+0.0150 [")
        return
    metrics = verdict.of("half").metrics
    assert half["RMSE"] == f"{metrics['rmse'].value:.4g}"
    assert half["R2"] == f"{metrics['r2'].value:.4f}"
    value, lower, upper = (float(number) for number in half["increase [interval]"].translate(DROPPED).split())
    assert 0 < lower < value < upper


def test_whiskers_reach_as_far_as_the_loss_may_go(verdict: Verdict, task: str) -> None:
    loss = verdict.of("half").metrics["accuracy_drop" if task == "classification" else "rmse_increase"]
    quality = verdict.of("half").metrics["accuracy" if task == "classification" else "rmse"].value
    segments = [bars.get_segments()[0][:, 1] for bars in plot_verdict(verdict).axes[0].collections]
    sign = -1 if task == "classification" else 1
    ends = sorted(quality + sign * (bound - loss.value) for bound in (loss.lower, loss.upper))
    assert any(np.allclose(sorted(segment), ends) for segment in segments)


@pytest.mark.parametrize(
    ("modality", "words"),
    [
        ("image", "images, uint8 1x8x6 (channels x height x width)"),
        ("text", r"texts of \d+ to \d+ characters"),
        ("tabular", "rows of 3 columns: age, job, hours"),
        ("series", r"series of 3 to 19 steps"),
    ],
)
def test_the_fingerprint_says_what_the_inputs_are(modality: str, words: str) -> None:
    samples = make_samples(modality)
    said = fingerprint(samples, samples).inputs
    assert said == words or re.fullmatch(words, said)
