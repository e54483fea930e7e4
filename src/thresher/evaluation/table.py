"""The verdict as rows of text, for the terminal, the model card and the README alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from thresher.evaluation.metrics import LOSS, format_value
from thresher.evaluation.statistics import Interval
from thresher.evaluation.verdict import Judged, Verdict

QUALITY_COLUMNS = {
    "classification": ("accuracy", "drop [interval]"),
    "regression": ("RMSE", "increase [interval]", "R2"),
}
"""By task."""
OTHER_COLUMNS = ("size", "MACs", "p50", "p99", "verdict", "reason")


def verdict_columns(verdict: Verdict) -> tuple[str, ...]:
    """Return the names of the columns of `verdict_rows`."""
    return ("candidate", *QUALITY_COLUMNS[verdict.task], *OTHER_COLUMNS)


def verdict_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Return one row a candidate, by `verdict_columns`."""
    return [_row(judged, verdict.task) for judged in verdict.candidates]


def verdict_markdown(verdict: Verdict) -> str:
    """Return the table in Markdown."""
    columns = verdict_columns(verdict)
    return markdown_table(columns, verdict_rows(verdict))


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; whatever stands in a cell, it stays one."""
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, cells)) + " |" for cells in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(judged: Judged, task: str) -> tuple[str, ...]:
    metrics = judged.metrics
    if not metrics:  # there is no model to measure
        figures = len(QUALITY_COLUMNS[task]) + len(OTHER_COLUMNS) - 2
        return (judged.candidate, *("-" for _ in range(figures)), "failed", judged.reason)
    loss = _with_interval(LOSS[task], metrics[LOSS[task]])
    if task == "classification":
        quality: tuple[str, ...] = (f"{metrics['accuracy'].value:.4f}", loss)
    else:
        quality = (format_value("rmse", metrics["rmse"].value), loss, format_value("r2", metrics["r2"].value))
    return (
        judged.candidate,
        *quality,
        f"{metrics['size_bytes'].value / 1000:,.1f} kB",
        _count(metrics["macs"].value),
        format_value("latency_ms_p50", metrics["latency_ms_p50"].value),
        format_value("latency_ms_p99", metrics["latency_ms_p99"].value),
        "WINS" if judged.wins else "qualifies" if judged.qualifies else "fails",
        judged.reason,
    )


def _with_interval(metric: str, interval: Interval) -> str:
    value, lower, upper = (
        ("" if number < 0 else "+") + format_value(metric, number)
        for number in (interval.value + 0.0, interval.lower + 0.0, interval.upper + 0.0)  # no minus before a zero
    )
    return f"{value} [{lower}, {upper}]"


def _count(number: float) -> str:
    return f"{number / 1000:,.0f} k" if number >= 10_000 else f"{number:,.0f}"
