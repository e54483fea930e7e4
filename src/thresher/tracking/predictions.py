"""What came of new data, as a run in an experiment of its own: those of training stay apart."""

from __future__ import annotations

import json
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from thresher.tracking.parameters import as_parameters
from thresher.tracking.run_context import EXPERIMENT_TAGS, written_whole
from thresher.tracking.settings import TrackingSettings

EXPERIMENT = "{}.predictions"
REPORT = "report.json"


def log_prediction(
    settings: TrackingSettings,
    recipe: str,
    parameters: dict[str, Any],
    report: dict[str, Any],
    metrics: dict[str, float],
) -> str:
    """Log what came of new data, and return the id of the run.

    Args:
        parameters: the data, the model and how it was read.
        report: becomes an artifact.

    Raises:
        MlflowException: MLflow cannot be used.
    """
    mlflow.set_tracking_uri(settings.tracking_uri)
    client, name = MlflowClient(), EXPERIMENT.format(recipe)
    with written_whole():
        found = client.get_experiment_by_name(name)
        experiment = (
            found.experiment_id
            if found
            else client.create_experiment(name, settings.artifact_folder, tags=EXPERIMENT_TAGS)
        )
        run = client.create_run(experiment, tags={"recipe": recipe}, run_name=f"predict {recipe}")
        moment = run.info.start_time
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, moment, 0) for key, value in as_metrics(metrics).items()],
            params=[Param(key, value) for key, value in as_parameters(parameters).items()],
            tags=[RunTag("model_version", str(parameters["model_version"]))],
        )
        client.log_dict(run.info.run_id, json.loads(json.dumps(report)), REPORT)
        client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def as_metrics(metrics: dict[str, float]) -> dict[str, float]:
    """Return ``metrics`` under names that MLflow takes."""
    named = as_parameters({name: name for name in metrics})
    return dict(zip(named, metrics.values(), strict=True))
