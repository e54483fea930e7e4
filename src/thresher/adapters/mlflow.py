"""MLflow: its database's schema, the beginning of a run, its end if its server is away, what is deleted for good."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowException
    from mlflow.entities import Run
    from sqlalchemy import Engine


def make_tables(engine: Engine) -> None:
    """Make all tables in the empty database behind ``engine``."""
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(engine)


def upgrade_tables(engine: Engine) -> None:
    """Bring the database behind ``engine`` to the schema of this MLflow, as `mlflow db upgrade` does."""
    from mlflow.store.db.utils import _upgrade_db

    _upgrade_db(engine)


def known_revisions() -> list[str]:
    """Return the revisions of the schema that this MLflow knows, the newest first."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    return [script.revision for script in ScriptDirectory.from_config(_get_alembic_config("")).walk_revisions()]


def start_run(experiment_id: str, name: str, tags: dict[str, str], log_system_metrics: bool) -> Run:
    """Begin a run, or go on with that of MLFLOW_RUN_ID, as `mlflow.start_run` does.

    That would look for notebooks first, and imports all of IPython for it; without IPython there is none.
    """
    import mlflow
    from mlflow.tracking.context import registry

    run_id = os.environ.get("MLFLOW_RUN_ID")
    if not run_id:
        names = () if "IPython" in sys.modules else ("Databricks", "Jupyter")
        notebooks = [provider for known, provider in vars(registry).items() if known.startswith(names)]
        described = registry.resolve_tags(tags, ignore=notebooks)
        run_id = mlflow.MlflowClient().create_run(experiment_id, tags=described, run_name=name).info.run_id
    return mlflow.start_run(run_id, run_name=name, tags=tags, log_system_metrics=log_system_metrics)


def delete_for_good(run_id: str, model_ids: Iterable[str]) -> None:
    """Delete what the database still says of a run and models in the bin; on a tracking server, nothing.

    As `mlflow gc` does it. That command would also empty the bin of every other experiment that was deleted there.
    """
    from mlflow import MlflowException
    from mlflow.tracking._tracking_service.utils import _get_store

    store = _get_store()
    if not hasattr(store, "_hard_delete_run"):
        return
    for model_id in model_ids:
        with suppress(MlflowException):  # it is in the bin of another experiment, or was never whole
            store._hard_delete_logged_model(model_id)
    store._hard_delete_run(run_id)


def is_failure_of_server(error: MlflowException) -> bool:
    """Return whether ``error`` came of a server that did not answer, or answered with something that is not MLflow's.

    For these it has no type, and its code is that of other errors.
    """
    return str(error).startswith("API request to") and " failed with error code 4" not in str(error)


def forget_active_run() -> None:
    """Let MLflow's fluent functions know of no run, and end its thread that watches the machine; no server is asked."""
    from mlflow.tracking import fluent

    fluent._active_run_stack.get().clear()
    for monitor in fluent.run_id_to_system_metrics_monitor.values():
        monitor._shutdown_event.set()
    fluent.run_id_to_system_metrics_monitor.clear()
