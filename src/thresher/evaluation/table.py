"""The verdict as rows of text, for the terminal, the model card and the README alike."""

from __future__ import annotations

from thresher.evaluation.metrics import format_value
from thresher.evaluation.verdict import Judged, Verdict

COLUMNS = ("candidate", "accuracy", "drop [interval]", "size", "MACs", "p50", "p99", "verdict", "reason")


def verdict_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Return one row a candidate, by ``COLUMNS``."""
    return [_row(judged) for judged in verdict.candidates]


def verdict_markdown(verdict: Verdict) -> str:
    """Return the table in Markdown."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *verdict_rows(verdict)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _row(judged: Judged) -> tuple[str, ...]:
    metrics = judged.metrics
    drop = metrics["accuracy_drop"]
    return (
        judged.candidate,
        f"{metrics['accuracy'].value:.4f}",
        f"{drop.value:+.4f} [{drop.lower:+.4f}, {drop.upper:+.4f}]",
        f"{metrics['size_bytes'].value / 1000:,.1f} kB",
        f"{metrics['macs'].value / 1000:,.0f} k",
        format_value("latency_ms_p50", metrics["latency_ms_p50"].value),
        format_value("latency_ms_p99", metrics["latency_ms_p99"].value),
        "WINS" if judged.wins else "qualifies" if judged.qualifies else "fails",
        judged.reason,
    )
