"""What every part of a run knows of it: where it is tracked, and as which run.

Datasets, hooks and worker processes ask here. It stands in environment variables, since those alone reach the processes
that ParallelRunner starts; the first three are MLflow's own.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from thresher.errors import ThresherError
from thresher.interruption import interruption

TRACKING_URI, RUN_ID, EXPERIMENT_ID = "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"
SPOOL = "THRESHER_SPOOL"
NOWHERE = Path("/nonexistent")
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Tags of each recipe's experiment: without them, MLflow's pages show it as one of language models."""
PARENT = "mlflow.parentRunId"
"""MLflow's own tag: the run that one is nested in."""
REUSED_FROM = "reused_from"
"""Tag with the ids of the runs that results were reused from, with commas between them."""
REUSED_FROM_BEFORE = "taken_from"
"""The same tag on runs that were made before it had its name: what they reused is kept as long as they are."""


class TrackingError(ThresherError):
    """An MLflow server that cannot be reached, or refuses."""


@dataclass(frozen=True)
class RunContext:
    """The context of this process; see `current`."""

    tracking_uri: str = ""
    """A server, or a SQLite file; empty before a project's configuration is read."""
    run_id: str = ""
    """The id of the active MLflow run; empty outside of one."""
    experiment_id: str = ""
    spool: Path = NOWHERE
    """The project's folder for what waits for the server."""

    @property
    def has_server(self) -> bool:
        """Whether runs are tracked by a server, and not in a file."""
        return self.tracking_uri.startswith("http")


def current() -> RunContext:
    """Return the context of this process."""
    return RunContext(
        tracking_uri=os.environ.get(TRACKING_URI, ""),
        run_id=os.environ.get(RUN_ID, ""),
        experiment_id=os.environ.get(EXPERIMENT_ID, ""),
        spool=Path(os.environ.get(SPOOL) or NOWHERE),
    )


def run_id() -> str:
    """Return the id of the active run.

    Raises:
        TrackingError: outside of a `kedro run`.
    """
    if not (run := current().run_id):
        raise TrackingError("There is no active MLflow run. Models are registered by `kedro run`.")
    return run


def written_whole() -> AbstractContextManager[None]:
    """Let signals wait for the end of what the block writes into MLflow's file; a server writes in its own process."""
    return nullcontext() if current().has_server else interruption.deferred()


def enter_project(tracking_uri: str, spool: Path) -> None:
    """Let this process, and those that it starts, track runs there."""
    os.environ |= {TRACKING_URI: tracking_uri, SPOOL: str(spool)}


def enter_run(run_id: str, experiment_id: str) -> None:
    """Let what is logged from now on belong to this run."""
    os.environ |= {RUN_ID: run_id, EXPERIMENT_ID: experiment_id}


def leave_run() -> None:
    """Let no run be active."""
    for name in (RUN_ID, EXPERIMENT_ID):
        os.environ.pop(name, None)
