"""Table, card and plot show every candidate, whoever wins."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from thresher.evaluation.card import model_card
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.plots import _pareto_front, plot_verdict
from thresher.evaluation.selection import Selection
from thresher.evaluation.table import COLUMNS, verdict_markdown, verdict_rows
from thresher.evaluation.verdict import Verdict, judge
from thresher.modalities.fingerprint import DataFingerprint

NAMES = ["float", "half", "int8"]


@pytest.fixture(params=["half", None], ids=["somebody wins", "nobody qualifies"])
def verdict(request: pytest.FixtureRequest, evaluation: Callable[..., Evaluation]) -> Verdict:
    evaluations = [evaluation(), evaluation("half", 0.5, lost=20, gained=5), evaluation("int8", 2)]
    require = {} if request.param else {"macs": {"at_most": 1}}
    selection = Selection.model_validate({"require": require})
    verdict = judge("digits", {one.candidate: one for one in evaluations}, selection)
    assert verdict.winner == request.param
    return verdict


@pytest.fixture
def data() -> DataFingerprint:
    return DataFingerprint(
        train_sha256="a" * 64, test_sha256="b" * 64, num_train_samples=1437, num_test_samples=1000,
        input_shape=(1, 8, 8), class_names=("zero", "one"),
    )  # fmt: skip


def test_the_table_has_one_row_a_candidate_with_its_reason(verdict: Verdict) -> None:
    rows = verdict_rows(verdict)
    assert [row[0] for row in rows] == NAMES
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert [row[-1] for row in rows] == [judged.reason for judged in verdict.candidates]
    states = ["qualifies", "WINS", "fails"] if verdict.winner else ["fails"] * 3
    assert [row[COLUMNS.index("verdict")] for row in rows] == states


def test_the_markdown_table_is_whole(verdict: Verdict) -> None:
    lines = verdict_markdown(verdict).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}


def test_the_card_says_what_the_model_was_made_and_judged_on(verdict: Verdict, data: DataFingerprint) -> None:
    card = model_card(verdict, data, "Handwritten digits")
    for text in ("# digits", "Handwritten digits", verdict_markdown(verdict), "a" * 64, "b" * 64, "1,437", "1x8x8",
                 "2 classes: zero, one", "at 95%", "- processor: a processor", "- vnni: no"):  # fmt: skip
        assert text in card
    assert f"Winner: **{verdict.winner or 'none, no candidate qualifies'}**" in card
    assert "{" not in card


def test_the_plot_names_every_candidate_in_both_parts(verdict: Verdict) -> None:
    figure = plot_verdict(verdict)
    assert isinstance(figure, Figure)
    latency, size = figure.axes
    for axis in (latency, size):
        assert {text.get_text() for text in axis.texts} == set(NAMES)
    assert ("half" in figure.get_suptitle()) is (verdict.winner is not None)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_the_pareto_front_has_those_that_no_other_beats_in_both() -> None:
    points = [(3.0, 0.9), (1.0, 0.5), (2.0, 0.4), (2.0, 0.8), (4.0, 0.9)]
    assert _pareto_front(points) == [(1.0, 0.5), (2.0, 0.8), (3.0, 0.9)]
