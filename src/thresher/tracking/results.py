"""Candidates as a run finds them: one evaluation after the other, then all of them before the verdict."""

from __future__ import annotations

from typing import Any

from mlflow.tracking.fluent import log_metrics

from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.metrics import CONFIDENCE, measure_metrics
from thresher.models import FLOAT
from thresher.tracking import models
from thresher.tracking.run import run_id


def log_evaluation(name: str, evaluation: Evaluation, inputs: dict[str, Any], catalog: Any) -> None:
    """Log one candidate's model and, under its name, its figures, as soon as they are measured."""
    recipe, candidate, _ = name.split(".")
    models.log_candidate(recipe, candidate, inputs[f"{recipe}.{candidate}.onnx"], catalog.load(f"{recipe}.encoder"))
    metrics = measure_metrics(evaluation, evaluation, CONFIDENCE)
    log_metrics({f"{candidate}.{metric}": interval.value for metric, interval in metrics.items()}, run_id=run_id())


def log_candidates(recipe: str, inputs: dict[str, Any], catalog: Any) -> None:
    """Link the figures that the verdict compares to each candidate's model; an earlier run's model is logged again."""
    evaluations = {value.candidate: value for value in inputs.values() if isinstance(value, Evaluation)}
    encoder = catalog.load(f"{recipe}.encoder")
    data_set = models.data_sets(recipe, catalog.load(f"{recipe}.fingerprint"))["evaluation"]
    for candidate, evaluation in evaluations.items():
        model_id = models.find_candidate(candidate) or models.log_candidate(
            recipe, candidate, catalog.load(f"{recipe}.{candidate}.onnx"), encoder
        )
        models.log_evaluation(model_id, evaluation, evaluations[FLOAT], data_set)
