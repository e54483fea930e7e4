"""Results of earlier runs as part of this one, with links to the runs that made them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thresher.evaluation.verdict import Verdict
from thresher.tracking import logs, results
from thresher.tracking.entries import Curves, ReusedFrom
from thresher.tracking.run_context import REUSED_FROM
from thresher.tracking.spool import send

# Nothing is loaded that MLflow has no place for: networks and samples are large, and torch takes seconds to import.
LOGGED = (
    "contract_report", "data_docs", "set_report", "set_docs", "fingerprint", "evaluation", "slice_comparison",
    "set_comparison", "verdict", "verdict_plot",
    ".report", "model_card", "challenge", "bento", "execution", "imported", "range_test", "range_test_plot",
    "search_result", "search_plot", "sensitivity", "budget_search", "budget_plot",
    ".calibration", ".decision",
)  # fmt: skip
SECTION_CHARACTERS = 3000
"""The most characters of this section in a run's description, which has 8,000 in all."""


def log_reused(outputs: Iterable[str], catalog: Any) -> None:
    """Log what lies in the datasets ``outputs`` as if a node of this run had made it."""
    for name in outputs:
        if name.endswith(LOGGED):
            value = catalog.load(name)
            results.log_result(name, value, catalog)
            if isinstance(value, Verdict):
                candidates = [judged.candidate for judged in value.candidates]
                compared = {key: catalog.load(f"{value.recipe}.{key}.evaluation") for key in candidates}
                results.log_candidates(value.recipe, compared, catalog)


def copy_curves(training: str, from_run: str) -> None:
    """Copy the curves of the training that the run ``from_run`` did; where it is gone from MLflow, say so."""
    send(Curves(names=[f"{training}.{curve}" for curve in logs.CURVES], from_run=from_run))


def link_runs(reused: dict[tuple[str, str], list[str]]) -> None:
    """Name the runs that results were reused from in the tag `reused_from`, and link them in the run's description.

    Args:
        reused: (experiment id, run id) -> nodes.
    """
    reused = {place: nodes for place, nodes in reused.items() if all(place)}  # without MLflow there is no run to name
    if not reused:
        return
    links = [
        f"- [run {run[:8]}](#/experiments/{experiment}/runs/{run}): {', '.join(nodes)}"
        for (experiment, run), nodes in reused.items()
    ]
    lines, length = ["## Reused from earlier runs", ""], 0
    for number, link in enumerate(links):
        length += len(link) + 1
        if length > SECTION_CHARACTERS:
            lines.append(f"- and {len(links) - number} more: the tag `{REUSED_FROM}` names them, `plan.txt` the nodes")
            break
        lines.append(link)
    send(ReusedFrom(runs=[run for _, run in reused], section="\n".join([*lines, ""])))
