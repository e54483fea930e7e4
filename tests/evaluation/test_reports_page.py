"""The report as a page: all of it in one file, every figure as it was measured, readable without seeing the plots."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from accounts import NAMES, REASON, make_account, make_predictions
from matplotlib.figure import Figure

from thresher.code_fingerprint.graph import CodeGraph
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.report.confusion import confused_pairs, confusion_matrix, matrices
from thresher.evaluation.report.context import Account, Predictions, Searched, Sensitivities
from thresher.evaluation.report.page import report_page
from thresher.evaluation.report.sensitivity import by_sensitivity, plot_sensitivity
from thresher.evaluation.report.speed import plot_speed
from thresher.evaluation.report.svg import inline_svg
from thresher.evaluation.report.values import MAX_POINTS, error_table, plot_values
from thresher.evaluation.table import verdict_rows

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=y>', "$\\frac$ {{ 7 * 7 }}", "&amp;")
VOID = {"meta", "img", "br", "link", "input", "hr"}
CURVES = {
    "calm": [(0.0, 0.97), (0.5, 0.96), (0.9, 0.9)],
    "touchy": [(0.0, 0.97), (0.5, 0.6), (0.9, 0.2)],
}


class Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag == "table":
            self.tables.append(("", []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words += data
        if self.open and self.open[-1] == "caption":
            caption, rows = self.tables[-1]
            self.tables[-1] = (caption + data, rows)
        elif {"td", "th"} & {*self.open}:
            self.tables[-1][1][-1][-1] += data

    def table(self, caption: str) -> list[list[str]]:
        """Return the one table whose caption begins so, its head first."""
        (rows,) = [rows for text, rows in self.tables if text.startswith(caption)]
        return rows

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module", params=["classification", "regression"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def account(task: str, evaluation: Callable[..., Evaluation]) -> Account:
    return make_account(evaluation, task)


@pytest.fixture(scope="module")
def text(account: Account, task: str) -> str:
    return report_page(account, make_predictions(task))


def test_the_page_fetches_nothing_and_runs_nothing(text: str) -> None:
    page = Page(text)
    assert "//" not in text
    assert not re.search(r"@import|url\((?!#)", text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed"}
    references = [attributes[name] for _, attributes in page.tags for name in ("href", "src") if name in attributes]
    assert references
    assert all(reference and reference.startswith("#") for reference in references)


def test_every_reference_leads_to_one_place(text: str) -> None:
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    named = re.findall(r"(?:href=\"|url\()#([\w-]+)", text) + re.findall(r'aria-labelledby="([\w-]+)"', text)
    assert set(named) <= set(page.ids)


def test_every_candidate_stands_in_the_table_with_its_figures_and_its_reason(text: str, account: Account) -> None:
    rows = Page(text).table("Every candidate")
    assert rows[1:] == [list(row) for row in verdict_rows(account.verdict)]
    assert [row[0] for row in rows[1:]] == NAMES
    assert rows[-1][-1] == REASON


def test_all_figures_are_those_of_the_verdict(text: str, account: Account) -> None:
    rows = {row[0]: row[1:] for row in Page(text).table("Bounds at 95%")}
    metrics = account.verdict.of("half").metrics
    assert rows["size_bytes"] == ["1,000 bytes", "50 bytes", "1,000 bytes", "-"]
    for metric in ("speedup_batch1", "speedup_batch32"):
        got = metrics[metric]
        assert rows[metric][1] == f"{got.value:.2f}x [{got.lower:.2f}x, {got.upper:.2f}x]"
    batched = {name for name in metrics if "_batch" in name}
    assert rows.keys() - {""} == metrics.keys() - {name.partition("_batch")[0] for name in batched}


def test_times_and_what_a_session_takes_have_tables(text: str, account: Account) -> None:
    page = Page(text)
    rows = page.table("Measured on one session")
    assert [row[:2] for row in rows[1:]] == [[name, size] for name in account.evaluations for size in ("1", "32")]
    assert {row[-1] for row in rows[1:]} == {"the noise", "faster", "slower"}
    assert page.table("Peak memory is") == [
        ["candidate", "peak memory", "load time"],
        *([name, "10,000,000 bytes", "2.00 ms"] for name in account.evaluations),
    ]
    assert {"timings", "footprint"} <= set(page.ids)


def test_every_table_is_named_and_every_plot_is_told_in_words(text: str) -> None:
    page = Page(text)
    assert all(caption.strip() for caption, _ in page.tables)
    plots = page.attributes("svg")
    assert len(plots) >= 5
    assert all(plot["role"] == "img" and plot["aria-labelledby"] in page.ids for plot in plots)
    assert {th.get("scope") for th in page.attributes("th")} <= {"col", "row"}
    assert page.attributes("html") == [{"lang": "en"}]


def test_plots_keep_their_text_and_have_the_colours_of_the_page(text: str) -> None:
    svg = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    for words in ("median latency, batch 32 [us]", "half", "Pareto front", "times as fast as float, batch 1"):
        assert words in svg
    assert "var(--ink)" in svg
    assert not re.search(r"#[0-9a-f]{6}(?![-\w])(?!\))", svg.replace("#ffffff", ""))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_same_results_give_the_same_page(text: str, account: Account, task: str) -> None:
    assert report_page(account, make_predictions(task)) == text


def test_nobody_winning_is_said_and_float_is_shown_alone(evaluation: Callable[..., Evaluation], task: str) -> None:
    page = Page(report_page(make_account(evaluation, task, wins=False), make_predictions(task)))
    assert "No candidate qualifies" in page.words
    assert "Nobody wins: these are the float model's answers alone." in page.words
    titles = [caption for caption, _ in page.tables if caption in ("float", "half")]
    assert titles == (["float"] if task == "classification" else [])


def test_whatever_classes_are_called_they_stay_words(evaluation: Callable[..., Evaluation]) -> None:
    account = make_account(evaluation, "classification", description="<b>bold</b>")
    account = replace(account, fingerprint=account.fingerprint.model_copy(update={"class_names": HOSTILE}))
    text = report_page(account, make_predictions("classification", HOSTILE))
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert "<b>bold" not in text
    assert page.table("float")[0][1:] == list(HOSTILE)
    assert [row[0] for row in page.table("float")[1:]] == list(HOSTILE)
    assert "<conv1>" in page.table("Every candidate")[-1][-1]


def test_the_matrices_count_before_after_and_the_change(evaluation: Callable[..., Evaluation]) -> None:
    page = Page(report_page(make_account(evaluation, "classification"), make_predictions("classification")))
    assert page.table("float")[1:] == [["zero", "39", "1"], ["one", "0", "40"]]
    assert dict(page.tables)["half"][1:] == [["zero", "37", "3"], ["one", "2", "38"]]
    assert page.table("half less float")[1:] == [["zero", "-2", "+2"], ["one", "+2", "-2"]]


def test_a_confusion_matrix_agrees_with_scikit_learn() -> None:
    from sklearn import metrics

    random = np.random.default_rng(0)
    labels, outputs = random.integers(0, 7, 500), random.random((500, 9))
    ours = confusion_matrix(labels, outputs)
    assert (ours == metrics.confusion_matrix(labels, outputs.argmax(1), labels=range(9))).all()


def test_more_is_good_on_the_diagonal_and_bad_beside_it() -> None:
    change = matrices(make_predictions("classification"), ("float", "half"))[-1]
    assert change.counts.tolist() == [[-2, 2], [2, -2]]
    assert [change.classes(0, 0), change.classes(0, 1)] == ["right tone-bad", "tone-bad"]
    back = matrices(make_predictions("classification"), ("half", "float"))[-1]
    assert [back.classes(1, 1), back.classes(1, 0)] == ["right tone-good", "tone-good"]


def test_of_many_classes_the_pairs_that_are_confused_most_are_named(evaluation: Callable[..., Evaluation]) -> None:
    names = tuple(f"class {number}" for number in range(31))
    labels = np.repeat(np.arange(31), 3)
    before, after = (np.eye(31, dtype=np.float32)[labels] for _ in range(2))
    before[:1], after[3:6] = np.eye(31)[9], np.eye(31)[8]  # one of class 0, all of class 1
    predictions = Predictions(labels, names, {"float": before, "half": after})
    pairs = [("class 1", "class 8", "0", "3"), ("class 0", "class 9", "1", "0")]
    assert confused_pairs(predictions, ("float", "half")) == pairs
    page = Page(report_page(make_account(evaluation, "classification"), predictions))
    assert page.table("The classes that are confused most, of 31")[1:] == [list(pair) for pair in pairs]
    assert not [caption for caption, _ in page.tables if caption == "float"]


def test_of_a_regression_errors_and_values_stand_side_by_side(evaluation: Callable[..., Evaluation]) -> None:
    predictions = make_predictions("regression")
    rows = error_table(predictions, ("float", "half"))
    assert rows[0] == ("mean error", "1", "-2")
    assert rows[3] == ("50% of the errors are at most", "1", "2")
    text = report_page(make_account(evaluation, "regression"), predictions)
    assert Page(text).table("Errors on the test split")[1:] == [list(row) for row in rows]
    assert f"{MAX_POINTS:,} of 1,500 test samples" in text
    axis = plot_values(predictions, "half").axes[0]
    true, values = axis.lines[-1].get_data()
    assert len(np.asarray(true)) == MAX_POINTS
    assert np.allclose(np.asarray(values) - np.asarray(true), -2.0, atol=1e-4)


def test_speed_shows_every_round_the_median_and_its_interval(account: Account) -> None:
    axis = plot_speed(account.verdict, account.evaluations, 32).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["float", "half", "int8"]
    rounds = [line for line in axis.lines if line.get_marker() == "o"]
    expected = 1 / np.array(account.evaluations["half"].latencies[1].round_ratios)
    assert np.allclose(np.asarray(rounds[1].get_xdata()), expected)
    medians = [line.get_xdata()[0] for line in axis.lines if line.get_marker() == "D"]
    assert medians == [account.verdict.of(name).metrics["speedup_batch32"].value for name in account.evaluations]


def test_layers_are_ordered_by_what_they_lose() -> None:
    assert by_sensitivity(CURVES, "accuracy") == ["touchy", "calm"]
    assert by_sensitivity(CURVES, "rmse") == ["calm", "touchy"]
    axis = plot_sensitivity(CURVES, 0.97).axes[0]
    drawn = {line.get_label(): list(np.asarray(line.get_ydata())) for line in axis.lines}
    assert drawn["touchy"] == [0.97, 0.6, 0.2]


def test_sensitivity_and_searches_have_sections_where_there_are_any(evaluation: Callable[..., Evaluation]) -> None:
    account, predictions = make_account(evaluation, "classification"), make_predictions("classification")
    without = Page(report_page(account, predictions))
    assert not {"sensitivity", "search"} & {*without.ids}
    measured = Sensitivities("float", "accuracy", 200, CURVES)
    found = Searched("half", "12 chains were judged.", Figure())
    failed = Sensitivities("half", "accuracy", 0, {}, "no channel of <conv1> can go")
    page = Page(report_page(account, predictions, [measured, failed], [found]))
    assert {"sensitivity", "search"} <= {*page.ids}
    rows = page.table("accuracy on 200 validation samples")
    assert rows == [["layer", "0%", "50%", "90%"], ["touchy", "0.97", "0.6", "0.2"], ["calm", "0.97", "0.96", "0.9"]]
    assert "12 chains were judged." in page.words
    assert "It could not be measured: no channel of <conv1> can go" in page.words


def test_two_figures_in_one_page_share_no_name() -> None:
    svgs = [inline_svg(plot_sensitivity(CURVES, 0.97), name, "layers") for name in ("first", "second")]
    first, second = (set(re.findall(r' id="([^"]+)"', svg)) for svg in svgs)
    assert first and not first & second


def test_an_edited_template_or_style_is_noticed() -> None:
    """Both decide what the page is, and neither is Python."""
    page = "thresher.evaluation.report.page"
    reached = CodeGraph().reach([page]).files
    assert {f"{page.replace('.', '/').rpartition('/')[0]}/page.{ending}" for ending in ("j2", "css")} <= reached.keys()
