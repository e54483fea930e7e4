"""Table, card and plot show every candidate, whoever wins."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from accounts import NAMES, REASON, make_account
from helpers.any_modality import make_samples
from matplotlib.text import Text

from thresher.candidate_failure import CandidateFailure
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.model_card import model_card
from thresher.evaluation.report.context import Account
from thresher.evaluation.report.metadata import training_words
from thresher.evaluation.report.pareto import pareto_front, plot_pareto, plot_verdict, quality_bounds
from thresher.evaluation.selection import Selection
from thresher.evaluation.table import markdown_table, verdict_columns, verdict_markdown, verdict_rows
from thresher.evaluation.verdict import Verdict
from thresher.modalities.fingerprint import fingerprint
from thresher.training import Training

DROPPED = str.maketrans("", "", "[],")


@pytest.fixture(params=["classification", "regression"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["somebody wins", "nobody qualifies"])
def account(task: str, request: pytest.FixtureRequest, evaluation: Callable[..., Evaluation]) -> Account:
    account = make_account(evaluation, task, request.param)
    assert account.winner == ("half" if request.param else None)
    return account


@pytest.fixture
def verdict(account: Account) -> Verdict:
    return account.verdict


def test_the_table_has_one_row_a_candidate_with_its_reason(verdict: Verdict) -> None:
    rows, columns = verdict_rows(verdict), verdict_columns(verdict)
    assert [row[0] for row in rows] == NAMES
    assert {len(row) for row in rows} == {len(columns)}
    assert [row[-1] for row in rows] == [judged.reason for judged in verdict.candidates]
    states = ["qualifies", "WINS", "fails"] if verdict.winner else ["fails"] * 3
    states.append("failed")
    assert [row[columns.index("verdict")] for row in rows] == states


@pytest.mark.parametrize(
    ("minimize", "column", "cells"),
    [
        ("compressed_bytes", "compressed_bytes", ["900 bytes", "300 bytes", "-"]),
        ("latency_ms_p50_batch32", "latency_ms_p50_batch32", ["3.20 ms", "1.60 ms", "-"]),
        ("size_bytes", "size", ["1.0 kB", "0.4 kB", "-"]),
    ],
)
def test_what_is_minimized_is_a_column_once(
    minimize: str, column: str, cells: list[str], evaluation: Callable[..., Evaluation]
) -> None:
    half = evaluation("half", 0.5, size_bytes=400, compressed_bytes=300)
    results = {
        "float": evaluation(),
        "half": half,
        "broken": CandidateFailure(candidate="broken", step="", reason=REASON),
    }
    verdict = judge("digits", results, Selection(minimize=minimize))
    columns, rows = verdict_columns(verdict), verdict_rows(verdict)
    usual = 9
    assert len(columns) == len(rows[0]) == len(rows[2]) == usual + (column == minimize)
    assert [row[columns.index(column)] for row in rows] == cells
    assert columns[-2:] == ("verdict", "reason")


def test_the_markdown_table_is_whole(verdict: Verdict) -> None:
    lines = verdict_markdown(verdict).splitlines()
    assert len(lines) == 2 + len(NAMES)
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert cells == {len(verdict_columns(verdict)) + 1}
    assert REASON.replace("|", r"\|").replace("<", r"\<") in lines[-1]


def test_the_card_says_what_the_model_was_made_and_judged_on(account: Account, task: str) -> None:
    labels = "2 classes: zero, one" if task == "classification" else "numbers; RMSE and MAE are in their unit"
    card = model_card(replace(account, found=True))
    assert "Model cnn, by adam, learning rate 0.00628, batches of 32, 3 epochs, seed 1. Some of it was found" in card
    assert "was found" not in model_card(account)
    for text in ("# digits", "Handwritten digits", verdict_markdown(account.verdict), "a" * 64, "b" * 64, "1,437",
                 "1x8x8", f"Labels: {labels}.", "at 95%", "- processor: a processor", "- vnni: no"):  # fmt: skip
        assert text in card
    said = "half wins, the least latency_ms_p50" if account.winner else "No candidate qualifies"
    assert said in card
    assert "{" not in card
    assert "\n\n\n" not in card


def test_the_card_says_what_was_done_to_each_candidate_and_to_the_winner_first(account: Account) -> None:
    steps = [line for line in model_card(account).splitlines() if line.startswith(("- half", "- int8"))]
    first = "- half (wins)" if account.winner else "- half"
    calibrated = f"calibrated on 256 training samples, SHA-256 {'c' * 64}"
    assert steps == [f"{first}: prune_channels (ratio 0.5); finetune", f"- int8: quantize_static; {calibrated}"]
    fewer = model_card(replace(account, vocabularies={"half": "12 of 40 rows of embedding"}))
    assert f"{first}: prune_channels (ratio 0.5); finetune; tokens: 12 of 40 rows of embedding" in fewer.splitlines()
    ahead = replace(account, chains=dict(reversed(account.chains.items())))
    order = [
        line.split()[1].rstrip(":") for line in model_card(ahead).splitlines() if line.startswith(("- half", "- int8"))
    ]
    assert order == (["half", "int8"] if account.winner else ["int8", "half"])


def test_the_card_says_what_was_not_measured(account: Account) -> None:
    card = model_card(account)
    limits = card[card.index("## Limits") :]
    assert "Energy was not measured: this machine has no counter of it that can be read." in limits
    assert not re.search("memory|load time", limits, re.IGNORECASE)
    assert "among 3 candidates" in limits
    assert "no bound on what may be lost in quality" in limits
    bounded = Selection.model_validate({"require": {"accuracy_drop": {"at_most": 0.1}, "rmse": {"at_most": 0.1}}})
    assert "no bound on" not in model_card(replace(account, selection=bounded))


def test_energy_is_in_the_card_where_it_was_counted(evaluation: Callable[..., Evaluation]) -> None:
    counted = {name: evaluation(name, energy=share) for name, share in (("float", 1.0), ("half", 0.5))}
    account = make_account(evaluation, "classification")
    verdict = judge("digits", dict(counted), account.selection)
    card = model_card(replace(account, verdict=verdict, evaluations=counted))
    assert "Energy was not" not in card
    assert "| half | 10,000,000 bytes | 2.00 ms | 500 uJ |" in card


def test_the_card_gives_the_spread_of_the_rounds_and_calls_nothing_faster_that_is_not(
    evaluation: Callable[..., Evaluation],
) -> None:
    made = (evaluation(), evaluation("half", 0.5, 0.01), evaluation("same", 0.99, 0.05), evaluation("int8", 2))
    account = make_account(evaluation, "classification")
    evaluations = {one.candidate: one for one in made}
    verdict = judge("digits", dict(evaluations), account.selection)
    lines = model_card(replace(account, verdict=verdict, evaluations=evaluations)).splitlines()
    cells = {line.split(" | ")[0].lstrip("| "): line.split(" | ") for line in lines if " | 32 | " in line}
    assert {name: row[-1].rstrip(" |") for name, row in cells.items()} == {
        "float": "the noise", "half": "faster", "same": "no difference measurable", "int8": "slower",
    }  # fmt: skip
    assert cells["half"][2:6] == ["1.60 ms", "2.40 ms", "3.20 ms", "20,000 samples/s"]
    assert cells["half"][7] == f"{1 / 0.545:.2f}x to {1 / 0.455:.2f}x"


def test_the_card_counts_the_answers_that_changed(account: Account, task: str) -> None:
    rows = [line for line in model_card(account).splitlines() if line.startswith("| half | 20 | 5 |")]
    assert len(rows) == (task == "classification")


def test_the_plot_names_every_measured_candidate_in_all_parts(account: Account) -> None:
    figure = plot_verdict(account.verdict, account.selection)
    assert len(figure.axes) == 3
    assert [axis.get_xlabel().partition("[")[0].strip() for axis in figure.axes] == [
        "median latency, batch 1", "median latency, batch 32", "size of the ONNX file",
    ]  # fmt: skip
    for axis in figure.axes:
        assert {text.get_text() for text in axis.texts} == set(NAMES) - {"broken"}
    is_classification = account.verdict.task == "classification"
    assert figure.axes[0].get_ylabel().startswith("accuracy" if is_classification else "RMSE (less is better)")
    assert ("half" in figure.get_suptitle()) is (account.winner is not None)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")


def test_an_axis_is_logarithmic_where_costs_are_of_different_orders(account: Account) -> None:
    """The sizes are 1000 and 50 bytes, the latencies 1 : 0.5 : 2."""
    scales = [axis.get_xscale() for axis in plot_verdict(account.verdict, account.selection).axes]
    assert scales == ["linear", "linear", "log"]


def test_names_do_not_lie_over_each_other_where_points_are_close(evaluation: Callable[..., Evaluation]) -> None:
    names = ["float", *(f"candidate_{number}" for number in range(8))]
    made = {name: evaluation(name, 1 + 0.02 * place, lost=place % 3) for place, name in enumerate(names)}
    selection = Selection()
    figure = plot_pareto(judge("close", dict(made), selection), "latency_ms_p50_batch1", selection)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [Text.get_window_extent(text, renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 9
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_bounds_are_drawn_where_they_are_asked_for(account: Account, task: str) -> None:
    verdict = account.verdict
    require = {"size_bytes": {"at_most": 400}, "latency_ms_p50": {"at_most": 0.09}}
    require |= {"accuracy_drop": {"at_most": 0.03}} if task == "classification" else {"rmse_increase": {"at_most": 1.0}}
    selection = Selection.model_validate({"require": require})
    base = verdict.of("float").metrics["accuracy" if task == "classification" else "rmse"].value
    bound = base - 0.03 if task == "classification" else base + 1.0
    assert quality_bounds(verdict, selection) == [pytest.approx(bound)]
    for metric, at in (("size_bytes", 0.4), ("latency_ms_p50_batch1", 90.0), ("latency_ms_p50_batch32", None)):
        axis = plot_pareto(verdict, metric, selection).axes[0]
        lines = [line for line in axis.lines if line.get_linestyle() == "-."]
        upright = [line.get_xdata()[0] for line in lines if line.get_xdata()[0] == line.get_xdata()[1]]
        assert upright == ([] if at is None else [pytest.approx(at)])
        assert [line.get_ydata()[0] for line in lines if len({*line.get_ydata()}) == 1] == [pytest.approx(bound)]
        bottom, top = axis.get_ylim()
        assert bottom < bound < top


def test_the_pareto_front_has_those_that_no_other_beats_in_both() -> None:
    points = [(3.0, 0.9), (1.0, 0.5), (2.0, 0.4), (2.0, 0.8), (4.0, 0.9)]
    assert pareto_front(points) == [(1.0, 0.5), (2.0, 0.8), (3.0, 0.9)]
    assert pareto_front(points, sign=-1) == [(1.0, 0.5), (2.0, 0.4)]


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
    segments = [bars.get_segments()[0][:, 1] for bars in plot_verdict(verdict, Selection()).axes[0].collections]
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


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "a|b",
        "*a*",
        "`a`",
        "[a](b)",
        "&lt;",
        "\\",
        "a_b $x$ 50% =",
    ],
)
def test_a_name_is_shown_as_it_is_in_markdown(name: str) -> None:
    from html.parser import HTMLParser

    from markdown_it import MarkdownIt

    shown: list[str] = []
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.append(tag)

        def handle_data(self, data: str) -> None:
            shown.append(data)

    Reader().feed(MarkdownIt("commonmark").enable("table").render(markdown_table(["name"], [(f"label={name}",)])))
    assert f"label={name}" in shown
    assert set(tags) == {"table", "thead", "tbody", "tr", "th", "td"}


def test_how_classes_count_in_the_training_is_said(evaluation: Callable[..., Evaluation]) -> None:
    counts = {"ham": 900, "spam": 100}
    weighted = Training.model_validate({"class_weights": "balanced", "focal_gamma": 2})
    said = training_words(make_account(evaluation, "classification", training=weighted, class_counts=counts))
    assert "'spam' (10.0% of the samples) 5, 'ham' (90.0% of the samples) 0.556." in said
    assert said.endswith("Focal loss, gamma 2: probabilities are less sure than cross-entropy's.")
    drawn = Training.model_validate({"sampling": "balanced"})
    said = training_words(make_account(evaluation, "classification", training=drawn, class_counts=counts))
    assert "How often an epoch draws a sample, in the mean, by its class: 'spam' (10.0% of the samples) 5" in said
