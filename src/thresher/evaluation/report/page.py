"""The report: everything that a run came to, as one HTML file that fetches nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thresher.evaluation.report import latency_tables, metadata
from thresher.evaluation.report.confusion import MAX_CLASSES, confused_pairs, matrices
from thresher.evaluation.report.context import Account, Predictions, Searched, Sensitivities
from thresher.evaluation.report.figures import figure_rows, key_figures
from thresher.evaluation.report.pareto import cost_metrics, plot_pareto
from thresher.evaluation.report.reliability import (
    CAPTION,
    plot_reliability,
    reliability_columns,
    reliability_curves,
    reliability_rows,
)
from thresher.evaluation.report.sensitivity import METRICS, by_sensitivity, plot_sensitivity
from thresher.evaluation.report.speed import plot_speed
from thresher.evaluation.report.svg import inline_svg
from thresher.evaluation.report.values import MAX_POINTS, error_table, plot_values
from thresher.evaluation.table import verdict_columns, verdict_rows

FOLDER = Path(__file__).parent
TEMPLATE, STYLE = "page.j2", "page.css"


@dataclass(frozen=True)
class Plot:
    """A figure in the page."""

    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a section of its own; the first cell of a row is its name."""

    id: str
    title: str
    caption: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def report_page(
    account: Account,
    predictions: Predictions,
    sensitivities: Sequence[Sensitivities] = (),
    searches: Sequence[Searched] = (),
) -> str:
    """Return the page: readable without a network, in light and dark, on paper and on a telephone.

    The same results give the same page, byte for byte.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(FOLDER)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    verdict = account.verdict
    tables = list(_tables(account))
    page = environment.get_template(TEMPLATE).render(
        style=(FOLDER / STYLE).read_text(encoding="utf-8").strip(),
        account=account,
        metadata=metadata,
        key_figures=key_figures(account),
        columns=verdict_columns(verdict),
        rows=verdict_rows(verdict),
        requirements=metadata.requirements(account),
        plots={"pareto": _pareto(account), "speed": _speed(account), "answers": _values(account, predictions)},
        tables=tables,
        sensitivities=[_sensitivity(number, each) for number, each in enumerate(sensitivities)],
        searches=[_search(number, each) for number, each in enumerate(searches)],
        figure_columns=("", *(judged.candidate for judged in verdict.candidates)),
        figure_rows=figure_rows(verdict),
        corruptions=account.corruptions,
        sections=_sections(tables, account, bool(predictions.class_names), bool(sensitivities), bool(searches)),
        reliability=_reliability(account, predictions) if predictions.class_names else None,
        **_answers(account, predictions),
    )
    return page.strip() + "\n"


def _pareto(account: Account) -> list[Plot]:
    plots = []
    for number, metric in enumerate(cost_metrics(account.verdict)):
        figure = plot_pareto(account.verdict, metric, account.selection)
        plots.append(Plot(inline_svg(figure, f"pareto{number}", f"Quality over {metric}, one point a candidate")))
    return plots


def _speed(account: Account) -> list[Plot]:
    plots = []
    for number, size in enumerate(account.measurement.batch_sizes):
        figure = plot_speed(account.verdict, account.evaluations, size)
        plots.append(Plot(inline_svg(figure, f"speed{number}", f"Speed against float at batch size {size}, by rounds")))
    return plots


def _values(account: Account, predictions: Predictions) -> list[Plot]:
    if predictions.class_names:
        return []
    shown = Predictions(predictions.labels, (), {name: predictions.outputs[name] for name in account.compared})
    total = len(shown.labels)
    caption = f"{min(MAX_POINTS, total):,} of {total:,} test samples" if total > MAX_POINTS else ""
    return [
        Plot(inline_svg(plot_values(shown, name), f"values{number}", f"{name}: predicted over true values"), caption)
        for number, name in enumerate(account.compared)
    ]


def _answers(account: Account, predictions: Predictions) -> dict[str, Any]:
    """Return what the models answered before and after, by the task: matrices, confused pairs or errors."""
    names, compared = predictions.class_names, account.compared
    few = bool(names) and len(names) <= MAX_CLASSES
    return {
        "class_names": names,
        "matrices": matrices(predictions, compared) if few else [],
        "pairs": confused_pairs(predictions, compared) if names and not few else None,
        "errors": [] if names else error_table(predictions, compared),
    }


def _reliability(account: Account, predictions: Predictions) -> dict[str, Any]:
    curves = reliability_curves(account, predictions)
    title = "{}: share of right answers over the probability of the likeliest class"
    return {
        "plots": [
            Plot(inline_svg(plot_reliability(each), f"reliability{number}", title.format(each[0].name)))
            for number, each in enumerate(curves)
        ],
        "caption": CAPTION,
        "columns": reliability_columns(account),
        "rows": reliability_rows(curves),
    }


def _sensitivity(number: int, of: Sensitivities) -> dict[str, Any]:
    if not of.curves:
        return {"of": of}
    order = by_sensitivity(of.curves, of.metric)
    baseline = of.curves[order[0]][0][1]
    figure = plot_sensitivity(of.curves, baseline, of.metric)
    ratios = [ratio for ratio, _ in of.curves[order[0]]]
    return {
        "of": of,
        "plot": Plot(inline_svg(figure, f"sensitivity{number}", f"{METRICS[of.metric]} by share of channels gone")),
        "caption": f"{METRICS[of.metric]} on {of.num_samples:,} validation samples, by the share of channels gone",
        "columns": ("layer", *(f"{ratio:.0%}" for ratio in ratios)),
        "rows": [(group, *(f"{value:.4g}" for _, value in of.curves[group])) for group in order],
    }


def _search(number: int, of: Searched) -> dict[str, Any]:
    return {"of": of, "plot": Plot(inline_svg(of.figure, f"search{number}", f"Chains tried for {of.candidate}"))}


def _tables(account: Account) -> Iterator[Table]:
    caption, rows = latency_tables.timing_caption(account), latency_tables.timing_rows(account)
    yield Table("timings", latency_tables.TIMING_TITLE, caption, latency_tables.TIMING_COLUMNS, rows)
    columns, rows = latency_tables.footprint_columns(account), latency_tables.footprint_rows(account)
    yield Table("footprint", latency_tables.FOOTPRINT_TITLE, latency_tables.FOOTPRINT_CAPTION, columns, rows)
    if rows := metadata.paired_rows(account):
        yield Table("changed", "Answers that changed", metadata.PAIRED_CAPTION, metadata.PAIRED_COLUMNS, rows)
    if rows := metadata.slice_rows(account):
        yield Table("slices", metadata.SLICES_TITLE, metadata.SLICES_CAPTION, metadata.slice_columns(account), rows)
    if rows := metadata.set_rows(account):
        caption = f"Each judged apart, beside float on the same samples. {metadata.set_sources(account)}"
        yield Table("test-sets", metadata.SETS_TITLE, caption, metadata.set_columns(account), rows)


def _sections(
    tables: Sequence[Table], account: Account, has_classes: bool, has_sensitivity: bool, has_search: bool
) -> list[tuple[str, str]]:
    """Return (id, title) of all that the page has."""
    return [
        ("candidates", "Candidates"),
        ("trade", "Quality against cost"),
        ("speed", "Speed"),
        ("before-and-after", "Before and after"),
        *([("reliability", "Reliability")] if has_classes else []),
        *((table.id, table.title) for table in tables),
        *([("corruptions", "Corrupted test samples")] if account.corruptions else []),
        *([("sensitivity", "Sensitivity per layer")] if has_sensitivity else []),
        *([("search", "Searches")] if has_search else []),
        ("made", "What was made of what"),
        ("figures", "All figures"),
        ("limits", "What the figures do not say"),
    ]
