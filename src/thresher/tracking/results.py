"""Results as a run gets them, by its own nodes or from earlier runs; each kind has its place in MLflow."""

from __future__ import annotations

import time
from typing import Any

from thresher.candidate_failure import CandidateFailure
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.metrics import CONFIDENCE, LOSS, measure_metrics
from thresher.models import FLOAT
from thresher.pipelines.stage import find_served_file
from thresher.tracking import logs
from thresher.tracking.entries import Data, Metrics, Model
from thresher.tracking.metric_names import to_mlflow
from thresher.tracking.spool import send


def log_result(name: str, value: Any, catalog: Any) -> None:
    """Log ``value``, which a node gave the dataset ``name`` or an earlier run left there."""
    if isinstance(value, CandidateFailure):
        logs.log(value, name)
    elif name.endswith(".evaluation"):
        _log_evaluation(name, value, catalog)
    elif name.rpartition(".")[2] in logs.FIGURES:
        logs.log_figure(value, name)
    else:
        logs.log(value, name)


def log_candidates(recipe: str, inputs: dict[str, Any], catalog: Any) -> None:
    """Link the figures that the verdict compares to each candidate's model, so that the Models tab compares them."""
    evaluations = {value.candidate: value for value in inputs.values() if isinstance(value, Evaluation)}
    fingerprint = catalog.load(f"{recipe}.fingerprint")
    data = Data(recipe=recipe, train_sha256=fingerprint.train_sha256, test_sha256=fingerprint.test_sha256)
    for candidate, evaluation in evaluations.items():
        metrics = measure_metrics(evaluation, evaluations[FLOAT], CONFIDENCE)
        loss = LOSS[evaluation.quality.kind]
        figures = {to_mlflow(name): interval.value for name, interval in metrics.items()}
        send(_model(recipe, candidate, catalog, figures | {f"{loss}_upper": metrics[loss].upper}, data))


def _log_evaluation(name: str, evaluation: Evaluation, catalog: Any) -> None:
    """Log one candidate's model and, under its name, its figures, as soon as they are known."""
    recipe, candidate, _ = name.split(".")
    send(_model(recipe, candidate, catalog))
    metrics = measure_metrics(evaluation, evaluation, CONFIDENCE)
    now = int(time.time() * 1000)
    send(
        Metrics(
            metrics=[(f"{candidate}.{to_mlflow(key)}", interval.value, now, 0) for key, interval in metrics.items()]
        )
    )


def _model(
    recipe: str, candidate: str, catalog: Any, figures: dict[str, float] | None = None, data: Data | None = None
) -> Model:
    return Model(
        recipe=recipe,
        candidate=candidate,
        onnx_file=catalog.load(find_served_file(catalog.load, recipe, candidate)),
        encoder=catalog.load(f"{recipe}.encoder").model_dump_json(),
        figures=figures or {},
        data=data,
    )
