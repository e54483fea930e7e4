"""What a call takes at every batch size, with how far the rounds lie apart, and what a session takes, as tables."""

from __future__ import annotations

from thresher.evaluation.latency import Latency
from thresher.evaluation.metrics import format_value
from thresher.evaluation.report.context import Account
from thresher.evaluation.report.figures import format_interval
from thresher.evaluation.statistics import Interval
from thresher.models import FLOAT

TIMING_TITLE = "Time and throughput"
TIMING_COLUMNS = (
    "candidate",
    "batch",
    "p50",
    "p90",
    "p99",
    "throughput",
    "times as fast as float",
    "rounds",
    "beside float",
)
FOOTPRINT_TITLE = "What a session takes"
FOOTPRINT_COLUMNS = {
    "peak_memory_bytes": "peak memory",
    "load_ms": "load time",
    "energy_joules": "energy a sample",
}
"""Metric -> column of the table; a metric that no candidate has gets no column."""
FOOTPRINT_CAPTION = (
    "Peak memory is what a process with one session holds above one without, at the largest batch; with the first "
    "session come some megabytes of ONNX Runtime's own. Load time is that of opening a session on a file in memory."
)


def timing_caption(account: Account) -> str:
    """Return what the columns of `timing_rows` are."""
    return (
        "Measured on one session, call after call. The speed beside float is the median over the rounds, with bounds "
        f"at {account.verdict.confidence:.0%}; the slowest and the fastest round stand beside it. A candidate is "
        "called faster or slower only where both bounds lie on one side of 1."
    )


def timing_rows(account: Account) -> list[tuple[str, ...]]:
    """Return a row a candidate and batch size, by `TIMING_COLUMNS`."""
    return [
        _timing_row(name, latency, account.verdict.of(name).metrics)
        for name, evaluation in account.evaluations.items()
        for latency in evaluation.latencies
    ]


def footprint_columns(account: Account) -> tuple[str, ...]:
    """Return the names of the columns of `footprint_rows`."""
    return ("candidate", *(FOOTPRINT_COLUMNS[metric] for metric in _footprint_metrics(account)))


def footprint_rows(account: Account) -> list[tuple[str, ...]]:
    """Return a row a candidate; - where it has no such figure."""
    rows = []
    for name in account.evaluations:
        metrics = account.verdict.of(name).metrics
        values = ((metric, metrics.get(metric)) for metric in _footprint_metrics(account))
        rows.append((name, *(format_value(metric, got.value) if got else "-" for metric, got in values)))
    return rows


def _footprint_metrics(account: Account) -> list[str]:
    return [
        metric
        for metric in FOOTPRINT_COLUMNS
        if any(metric in account.verdict.of(name).metrics for name in account.evaluations)
    ]


def _timing_row(name: str, latency: Latency, metrics: dict[str, Interval]) -> tuple[str, ...]:
    size = latency.batch_size
    if f"speedup_batch{size}" not in metrics:
        reason = latency.unmeasured or "float could not be measured"
        return (name, str(size), *("-" for _ in TIMING_COLUMNS[3:]), reason)
    figures = [
        format_value(metric, metrics[f"{metric}_batch{size}"].value)
        for metric in ("latency_ms_p50", "latency_ms_p90", "latency_ms_p99", "throughput")
    ]
    speedup = metrics[f"speedup_batch{size}"]
    least, greatest = 1 / max(latency.round_ratios), 1 / min(latency.round_ratios)
    interval, rounds = format_interval("speedup", speedup), f"{least:.2f}x to {greatest:.2f}x"
    word = "the noise" if name == FLOAT else _word(speedup)
    return (name, str(size), *figures, interval, rounds, word + _describe_busy(latency))


def _describe_busy(latency: Latency) -> str:
    return f" (busy machine: calls waited {latency.waited:.0%} of their time)" if latency.is_busy else ""


def _word(speedup: Interval) -> str:
    return "faster" if speedup.lower > 1 else "slower" if speedup.upper < 1 else "no difference measurable"
