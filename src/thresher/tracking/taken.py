"""Results of earlier runs as part of this one, with links to the runs that made them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from mlflow import MlflowClient, MlflowException

from thresher.evaluation.verdict import Verdict
from thresher.tracking import logs, results
from thresher.tracking.run import TAKEN_FROM, run_id

# Nothing is loaded that MLflow has no place for: networks and samples are large, and torch takes seconds to import.
LOGGED = (
    "contract_report", "data_docs", "fingerprint", "evaluation", "slice_comparison", "verdict", "verdict_plot",
    ".report", "model_card", "challenge", "bento", "execution", "imported", "range_test", "range_test_plot",
    "search_result", "search_plot", "sensitivity", "budget_search", "budget_plot",
)  # fmt: skip
NOTE = "mlflow.note.content"
METRICS_A_CALL = logs.METRICS_A_CALL


def log_taken(outputs: Iterable[str], catalog: Any) -> None:
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
    client = MlflowClient()
    try:
        histories = [client.get_metric_history(from_run, f"{training}.{curve}") for curve in logs.CURVES]
    except MlflowException:
        logging.getLogger(__name__).warning("MLflow has run %s no more: %s has no curves here", from_run, training)
        return
    metrics = [metric for history in histories for metric in history]
    for start in range(0, len(metrics), METRICS_A_CALL):
        client.log_batch(run_id(), metrics[start : start + METRICS_A_CALL])


def link_runs(taken: dict[tuple[str, str], list[str]]) -> None:
    """Name the runs that results were taken from in the tag `taken_from`, and link them in the run's description.

    Args:
        taken: (experiment id, run id) -> nodes.
    """
    taken = {place: nodes for place, nodes in taken.items() if all(place)}  # without MLflow there is no run to name
    if not taken:
        return
    client = MlflowClient()
    client.set_tag(run_id(), TAKEN_FROM, ",".join(run for _, run in taken))
    links = [
        f"- [run {run[:8]}](#/experiments/{experiment}/runs/{run}): {', '.join(nodes)}"
        for (experiment, run), nodes in taken.items()
    ]
    section = "\n".join(["## Taken from earlier runs", "", *links, ""])
    note = client.get_run(run_id()).data.tags.get(NOTE, "")
    client.set_tag(run_id(), NOTE, f"{note}\n\n{section}" if note else section)
