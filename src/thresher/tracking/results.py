"""Results as a run gets them, by its own nodes or from earlier runs; each kind has its place in MLflow."""

from __future__ import annotations

from typing import Any

from mlflow.tracking.fluent import log_metrics

from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.metrics import CONFIDENCE, measure_metrics
from thresher.failed import Failed
from thresher.models import FLOAT
from thresher.tracking import logs, models
from thresher.tracking.run import run_id


def log_result(name: str, value: Any, catalog: Any) -> None:
    """Log ``value``, which a node gave the dataset ``name`` or an earlier run left there."""
    if isinstance(value, Failed):
        logs.log(value, name)
    elif name.endswith(".evaluation"):
        _log_evaluation(name, value, catalog)
    elif name.rpartition(".")[2] in logs.FIGURES:
        logs.log_figure(value, name)
    else:
        logs.log(value, name)


def log_candidates(recipe: str, inputs: dict[str, Any], catalog: Any) -> None:
    """Link the figures that the verdict compares to each candidate's model."""
    evaluations = {value.candidate: value for value in inputs.values() if isinstance(value, Evaluation)}
    data_set = models.data_sets(recipe, catalog.load(f"{recipe}.fingerprint"))["evaluation"]
    for candidate, evaluation in evaluations.items():
        models.log_evaluation(_provide(recipe, candidate, catalog), evaluation, evaluations[FLOAT], data_set)


def _log_evaluation(name: str, evaluation: Evaluation, catalog: Any) -> None:
    """Log one candidate's model and, under its name, its figures, as soon as they are known."""
    recipe, candidate, _ = name.split(".")
    _provide(recipe, candidate, catalog)
    metrics = measure_metrics(evaluation, evaluation, CONFIDENCE)
    log_metrics({f"{candidate}.{metric}": interval.value for metric, interval in metrics.items()}, run_id=run_id())


def _provide(recipe: str, candidate: str, catalog: Any) -> str:
    onnx_file = catalog.load(f"{recipe}.{candidate}.onnx")
    return models.provide_candidate(recipe, candidate, onnx_file, catalog.load(f"{recipe}.encoder"))
