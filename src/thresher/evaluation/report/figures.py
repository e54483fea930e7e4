"""Figures as text: those of the winner in a few words, all of all candidates in a table."""

from __future__ import annotations

from thresher.evaluation.metrics import LOSS, find_metric, format_value, speed_words
from thresher.evaluation.report.context import Account
from thresher.evaluation.statistics import Interval
from thresher.evaluation.verdict import Verdict
from thresher.models import FLOAT

QUALITY = {"classification": ("accuracy", "accuracy"), "regression": ("rmse", "RMSE")}


def key_figures(account: Account) -> list[tuple[str, str, str]]:
    """Return (name, value, more) of the winner beside the float model; nothing where nobody wins."""
    verdict = account.verdict
    if verdict.winner is None:
        return []
    ours, base = verdict.of(verdict.winner).metrics, verdict.of(FLOAT).metrics
    metric, name = QUALITY[verdict.task]
    loss = format_interval(LOSS[verdict.task], ours[LOSS[verdict.task]], signed=True)
    found = [(name, format_value(metric, ours[metric].value), f"float {format_value(metric, base[metric].value)}")]
    if verdict.winner != FLOAT:
        lost = LOSS[verdict.task].replace("_", " ").replace("rmse", "RMSE")
        found.append((lost, loss, f"each bound at {verdict.confidence:.0%}"))
    for metric, name in (("size_bytes", "size"), ("latency_ms_p50", "median latency")):
        if metric not in ours:
            continue
        value, whole = ours[metric].value, base[metric].value
        shown = (f"{number / 1000:,.1f} kB" if metric == "size_bytes" else format_value(metric, number)
                 for number in (value, whole))  # fmt: skip
        beside = f": {whole / value:.2f}x" if metric == "size_bytes" else f": {speed_words(ours.get('speedup'), FLOAT)}"
        found.append((name, next(shown), f"float {next(shown)}{beside if verdict.winner != FLOAT else ''}"))
    found.append(("test samples", f"{verdict.num_test_samples:,}", ""))
    return found


def figure_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Return a row a metric, with its name and its value for every candidate; - where there is none."""
    names = dict.fromkeys(metric for judged in verdict.candidates for metric in judged.metrics)
    # With a batch size in its name each of these is there as well.
    short = {name for name in names if any(other.startswith(f"{name}_batch") for other in names)}
    return [
        (metric, *(_figure(metric, judged.metrics.get(metric)) for judged in verdict.candidates))
        for metric in names
        if metric not in short
    ]


def format_interval(metric: str, interval: Interval, signed: bool = False) -> str:
    """Return `value [lower, upper]`."""
    value, lower, upper = (
        ("+" if signed and number >= 0 else "") + format_value(metric, number + 0.0)  # no minus before a zero
        for number in (interval.value, interval.lower, interval.upper)
    )
    return f"{value} [{lower}, {upper}]"


def _figure(metric: str, interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if find_metric(metric).allows_confidence and not interval.unproven and not _is_exact(metric, interval):
        return format_interval(metric, interval)
    return format_value(metric, interval.value)


def _is_exact(metric: str, interval: Interval) -> bool:
    """Return whether nothing was resampled of a metric that is always reported: the recipe asks for no interval."""
    return find_metric(metric).is_always_measured and interval.lower == interval.upper
