"""The MLflow run of one `kedro run`."""

from __future__ import annotations

import logging
from contextlib import nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from thresher.adapters.mlflow import forget_active_run
from thresher.errors import ThresherError
from thresher.machine import describe_machine, git_commit
from thresher.tracking.interrupted import end_interrupted_runs, process_tags
from thresher.tracking.parameters import as_parameters
from thresher.tracking.patience import being_short
from thresher.tracking.run_context import current, enter_run, leave_run
from thresher.tracking.settings import TrackingSettings

# Without it, MLflow's pages show an experiment as one of language models.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
PARENT = "mlflow.parentRunId"
"""MLflow's own tag: the run that one is nested in."""
MAX_ERROR = 5000
REUSED_FROM = "reused_from"
"""Tag with the ids of the runs that results were reused from, with commas between them."""
REUSED_FROM_BEFORE = "taken_from"
"""The same tag on runs that were made before it had its name: what they reused is kept as long as they are."""


class TrackingError(ThresherError):
    """An MLflow server that cannot be reached, or refuses."""


def start_run(settings: TrackingSettings, recipe: str, parameters: dict[str, Any], tags: dict[str, str]) -> str:
    """Start the run in the recipe's experiment and return its id.

    The id goes into the environment, so that datasets and worker processes log to the same run.

    Raises:
        TrackingError: the tracking server cannot be used.
    """
    mlflow = _quiet_mlflow()
    try:
        mlflow.set_tracking_uri(settings.tracking_uri)
        if mlflow.get_experiment_by_name(recipe) is None:
            mlflow.create_experiment(recipe, settings.artifact_folder, tags=EXPERIMENT_TAGS)
        experiment = mlflow.set_experiment(recipe)
        end_interrupted_runs(experiment.experiment_id)
        run = mlflow.start_run(run_name="no verdict", tags=tags, log_system_metrics=settings.system_metrics)
    except mlflow.MlflowException as error:
        raise refusal(settings.tracking_uri, error) from error
    enter_run(run.info.run_id, experiment.experiment_id)
    from thresher.tracking.entries import Parameters
    from thresher.tracking.spool import send

    send(Parameters(parameters=as_parameters(parameters)))
    return str(run.info.run_id)


def models_page(server: str) -> str:
    """Return the address on ``server`` of the page that compares the candidates of the active run."""
    return f"{server}/#/experiments/{current().experiment_id}/models?workflowType=machine_learning"


def end_run(status: str, error: str = "") -> None:
    """End the run as FINISHED, FAILED or KILLED, its curves complete; nothing happens where none is active.

    Where the tracking server is away, that is kept as all else is; see `thresher.tracking.spool`.

    Args:
        error: why it failed.
    """
    if current().run_id:
        from thresher.tracking import entries, spool
        from thresher.tracking.logs import log_waiting

        run, context = run_id(), being_short() if status == "KILLED" else nullcontext()
        with context:  # who has interrupted it waits for nothing
            try:
                log_waiting()
                if error:
                    spool.send(entries.Tags(tags={"error": error[:MAX_ERROR]}))
                spool.send(entries.End(status=status))
            finally:
                _forget_active_run(status, spool.is_waiting(run))
            spool.deliver_at_end(run, with_trying=status != "KILLED")
    leave_run()


def _forget_active_run(status: str, is_away: bool) -> None:
    """End the run that MLflow's fluent functions know, and its thread that watches the machine.

    MLflow's own function asks the server for each; one that is away is not waited for.
    """
    import mlflow

    if is_away:
        forget_active_run()
    else:
        with being_short(), suppress(mlflow.MlflowException):  # the run's end has been sent
            mlflow.end_run(status)


def refusal(tracking_uri: str, error: Exception) -> TrackingError:
    """Return what to say of a tracking server that raised ``error``."""
    from thresher.tracking.server import is_away

    if is_away(error):
        fix = "Fix: start the server and run again; finished steps are reused, and the winner is registered then."
        return TrackingError(f"MLflow at {tracking_uri} is away, and its registry with it. {fix}")
    hint = "Start the server, or unset MLFLOW_TRACKING_URI to write into the project."
    return TrackingError(f"MLflow at {tracking_uri}: {error}\n{hint}")


def run_id() -> str:
    """Return the id of the active run.

    Raises:
        TrackingError: outside of a `kedro run`.
    """
    if not (run := current().run_id):
        raise TrackingError("There is no active MLflow run. Models are registered by `kedro run`.")
    return run


def describe_environment(project: Path) -> dict[str, str]:
    """Return the tags that say what made the run: git commit, machine, versions, process."""
    packages = ("torch", "onnxruntime", "onnx", "kedro", "great-expectations", "bentoml", "torch-pruning")
    return {
        "git_commit": git_commit(project),
        **process_tags(),
        **{f"machine.{key}": value for key, value in describe_machine().items()},
        **{f"version.{name}": version(name) for name in packages},
    }


def _quiet_mlflow() -> Any:
    import mlflow

    # Its information about its own work would stand between the lines of ours.
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return mlflow
