"""The verdict as rows of text, for the terminal, the model card and the README alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from thresher.evaluation.baseline import JUDGED_BY, ROW, Baseline, signed
from thresher.evaluation.metrics import LOSS, format_value
from thresher.evaluation.reference import ROW as REFERENCE_ROW
from thresher.evaluation.reference import Reference
from thresher.evaluation.statistics import Interval
from thresher.evaluation.verdict import Judged, Verdict
from thresher.models import FLOAT

QUALITY_COLUMNS = {
    "classification": ("accuracy", "drop [interval]"),
    "regression": ("RMSE", "increase [interval]", "R2"),
}
"""Task -> the columns of quality."""
COST_COLUMNS = {"size": "size_bytes", "MACs": "macs", "p50": "latency_ms_p50", "p99": "latency_ms_p99"}
"""Column -> the metric in it."""
MARKUP = re.compile(r"[\\`*<]|&(?=[#\w])|(?<=\])\(")
"""What Markdown would not show; names of classes and columns may hold anything."""
LAST_COLUMNS = ("verdict", "reason")


def verdict_columns(verdict: Verdict) -> tuple[str, ...]:
    """Return the names of the columns of `verdict_rows`: what the recipe minimizes is always one."""
    return ("candidate", *QUALITY_COLUMNS[verdict.task], *_cost_columns(verdict), *LAST_COLUMNS)


def verdict_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Return one row a candidate, by `verdict_columns`, then that of the reference, and at the end the baseline's."""
    rows = [_row(judged, verdict) for judged in verdict.candidates]
    if verdict.reference is not None:
        rows.append(_reference_row(verdict.reference, verdict))
    return rows if verdict.baseline is None else [*rows, _baseline_row(verdict.baseline, verdict)]


def verdict_markdown(verdict: Verdict) -> str:
    """Return the table in Markdown."""
    columns = verdict_columns(verdict)
    return markdown_table(columns, verdict_rows(verdict))


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; whatever stands in a cell, it stays one."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, cells)) + " |" for cells in lines)


def markdown_text(text: str) -> str:
    """Return ``text`` in one line so that Markdown shows it as it is: no tags, emphasis, code, links or entities."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _cell(text: str) -> str:
    return markdown_text(text).replace("|", "\\|")


def _cost_columns(verdict: Verdict) -> dict[str, str]:
    shown = {LOSS[verdict.task], *COST_COLUMNS.values()}
    return COST_COLUMNS if verdict.minimize in shown else {**COST_COLUMNS, verdict.minimize: verdict.minimize}


def _baseline_row(baseline: Baseline, verdict: Verdict) -> tuple[str, ...]:
    figures = baseline.figures
    lost = baseline.beside[FLOAT][JUDGED_BY[verdict.task]].gain
    cells = [format_value(JUDGED_BY[verdict.task], figures[JUDGED_BY[verdict.task]])]
    cells.append(_with_interval(LOSS[verdict.task], lost))
    if verdict.task == "regression":
        cells.append(format_value("r2", figures["r2"]))
    costs = ("-" for _ in _cost_columns(verdict))
    return (ROW, *cells, *costs, "-", f"{baseline.answers}; what is no better has learned nothing")


def _reference_row(reference: Reference, verdict: Verdict) -> tuple[str, ...]:
    columns = _cost_columns(verdict)
    if reference.lost is None:
        num_figures = len(QUALITY_COLUMNS[verdict.task]) + len(columns)
        return (REFERENCE_ROW, *("-" for _ in range(num_figures)), "-", reference.sentence)
    first, *more = (format_value(name, value) for name, value in reference.figures.items())
    costs = (_cost(name, reference.size_bytes) if name == "size_bytes" else "-" for name in columns.values())
    return (
        REFERENCE_ROW,
        first,
        _with_interval(LOSS[verdict.task], reference.lost),
        *more,
        *costs,
        "-",
        reference.sentence,
    )


def _row(judged: Judged, verdict: Verdict) -> tuple[str, ...]:
    metrics, costs = judged.metrics, _cost_columns(verdict)
    if not metrics:  # there is no model to measure
        num_figures = len(QUALITY_COLUMNS[verdict.task]) + len(costs)
        return (judged.candidate, *("-" for _ in range(num_figures)), "failed", judged.reason)
    return (
        judged.candidate,
        *_quality(metrics, verdict.task),
        *(_cost(metric, metrics[metric].value) if metric in metrics else "-" for metric in costs.values()),
        "WINS" if judged.wins else "qualifies" if judged.qualifies else "fails",
        judged.reason,
    )


def _quality(metrics: dict[str, Interval], task: str) -> tuple[str, ...]:
    loss = _with_interval(LOSS[task], metrics[LOSS[task]])
    if task == "classification":
        return f"{metrics['accuracy'].value:.4f}", loss
    return format_value("rmse", metrics["rmse"].value), loss, format_value("r2", metrics["r2"].value)


def _cost(metric: str, value: float) -> str:
    if metric == "size_bytes":
        return f"{value / 1000:,.1f} kB"
    return _count(value) if metric == "macs" else format_value(metric, value)


def _with_interval(metric: str, interval: Interval) -> str:
    value, lower, upper = (signed(metric, number) for number in (interval.value, interval.lower, interval.upper))
    return f"{value} [too few samples]" if interval.too_few else f"{value} [{lower}, {upper}]"


def _count(number: float) -> str:
    return f"{number / 1000:,.0f} k" if number >= 10_000 else f"{number:,.0f}"
