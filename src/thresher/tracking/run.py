"""The MLflow run of one `kedro run`."""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow

from thresher.adapters.mlflow import forget_active_run
from thresher.adapters.mlflow import start_run as begin_run
from thresher.machine import describe_machine, git_commit
from thresher.tracking import spool
from thresher.tracking.entries import End, Parameters, Tags
from thresher.tracking.interrupted import end_interrupted_runs, process_tags
from thresher.tracking.logs import log_waiting
from thresher.tracking.parameters import as_parameters
from thresher.tracking.patience import being_short
from thresher.tracking.run_context import EXPERIMENT_TAGS, current, enter_run, leave_run, written_whole
from thresher.tracking.server import refusal
from thresher.tracking.settings import TrackingSettings

MAX_ERROR = 5000


def start_run(settings: TrackingSettings, recipe: str, parameters: dict[str, Any], tags: dict[str, str]) -> str:
    """Start the run in the recipe's experiment and return its id.

    The id goes into the environment, so that datasets and worker processes log to the same run.

    Raises:
        TrackingError: the tracking server cannot be used.
    """
    # MLflow's information about its own work would stand between the lines of ours.
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(settings.tracking_uri)
    try:
        with written_whole():  # once it has begun it is known, so that a signal ends it as KILLED
            if mlflow.get_experiment_by_name(recipe) is None:
                mlflow.create_experiment(recipe, settings.artifact_folder, tags=EXPERIMENT_TAGS)
            experiment = mlflow.set_experiment(recipe)
            end_interrupted_runs(experiment.experiment_id)
            run = begin_run(experiment.experiment_id, "no verdict", tags, settings.system_metrics)
            enter_run(run.info.run_id, experiment.experiment_id)
    except mlflow.MlflowException as error:
        raise refusal(settings.tracking_uri, error) from error
    spool.send(Parameters(parameters=as_parameters(parameters)))
    return str(run.info.run_id)


def end_run(status: str, error: str = "") -> None:
    """End the run as FINISHED, FAILED or KILLED, its curves complete; nothing happens where none is active.

    Where the tracking server is away, that is kept as all else is; see `thresher.tracking.spool`.

    Args:
        error: why it failed.
    """
    run = current().run_id
    if not run:
        return
    with being_short() if status == "KILLED" else nullcontext():  # who has interrupted it waits for nothing
        try:
            log_waiting()
            if error:
                spool.send(Tags(tags={"error": error[:MAX_ERROR]}))
            spool.send(End(status=status))
        finally:
            _forget_active_run(status, spool.is_waiting(run))
        spool.deliver_at_end(run, with_trying=status != "KILLED")
    leave_run()


def _forget_active_run(status: str, is_away: bool) -> None:
    """End the run that MLflow's fluent functions know, and its thread that watches the machine.

    MLflow's own function asks the server for each; one that is away is not waited for.
    """
    if is_away:
        forget_active_run()
    else:
        with being_short(), suppress(mlflow.MlflowException):  # the run's end has been sent
            mlflow.end_run(status)


def describe_environment(project: Path) -> dict[str, str]:
    """Return the tags that say what made the run: git commit, machine, versions, process."""
    packages = ("torch", "onnxruntime", "onnx", "kedro", "great-expectations", "bentoml", "torch-pruning")
    return {
        "git_commit": git_commit(project),
        **process_tags(),
        **{f"machine.{key}": value for key, value in describe_machine().items()},
        **{f"version.{name}": version(name) for name in packages},
    }
