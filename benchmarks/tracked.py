"""The trainings that a project's MLflow holds of one recipe, for the tables of docs/results.md."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from reproduce import PACKAGES, describe_setting

from thresher.models import FLOAT
from thresher.recipe import Recipe

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SEED = "training.seed"
MACHINE, VERSION = "machine.", "version."
"""How the tags begin that say what a run was made on."""


def read_trainings(project: Path, name: str, recipe: Recipe, metric: str) -> dict[int, dict[str, Any]]:
    """Return seed -> what the newest run reached that trained and judged the float model as ``recipe`` stands.

    The seconds are those from its start to the end of the training. Not counted are runs that reused a former training
    or went on with a broken one, whose seconds say nothing, and those of other settings, of which a line is printed.
    """
    file = (project / "mlflow.db").resolve()
    if not file.exists():
        sys.exit(f"There is no {file}. Name the folder of a project in which the recipes were run.")
    from mlflow import MlflowClient

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    client = MlflowClient(f"sqlite:///{file}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.recipe = '{name}'", order_by=["attributes.start_time ASC"])
    found = {}
    for run in runs:
        if f"{FLOAT}.{metric}" in run.data.metrics and (ended := training_end(client, run)) and is_of(run, recipe):
            found[int(run.data.params[SEED])] = outcome(run, metric, ended)
    return found


def training_end(client: MlflowClient, run: Run) -> int | None:
    """Return when the last epoch ended, in ms since 1970; None where not all epochs are the run's own."""
    epochs = client.get_metric_history(run.info.run_id, f"{FLOAT}.epoch_loss")
    times = [epoch.timestamp for epoch in epochs]
    return max(times) if times and min(times) > run.info.start_time else None


def is_of(run: Run, recipe: Recipe) -> bool:
    """Return whether the run's data, model and training are those of ``recipe`` but for the seed."""
    import mlflow

    tracked = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/recipe.json")
    try:
        then = Recipe.model_validate(tracked)  # a setting that came later has its default
    except ValidationError:
        same = False
    else:
        same = what_counts(then) == what_counts(recipe)
    if not same:
        print(f"{run.info.run_id}: not counted, its data, model or training is not the recipe's")
    return same


def what_counts(recipe: Recipe) -> dict[str, Any]:
    """Return what the float model depends on, without the seed and the data's contract."""
    content = json.loads(recipe.model_dump_json(by_alias=True))
    return {
        "data": {key: value for key, value in content["data"].items() if key != "contract"},
        "model": content["model"],
        "training": {key: value for key, value in content["training"].items() if key != "seed"},
    }


def outcome(run: Run, metric: str, ended: int) -> dict[str, Any]:
    """Return what ``run`` has reached, as `reproduce.py` keeps it."""
    tags = run.data.tags
    machine = {key.removeprefix(MACHINE): value for key, value in tags.items() if key.startswith(MACHINE)}
    versions = {name: tags[f"{VERSION}{name}"] for name in PACKAGES if f"{VERSION}{name}" in tags}
    return {
        "value": run.data.metrics[f"{FLOAT}.{metric}"],
        "seconds": (ended - run.info.start_time) / 1000,
        "at": datetime.fromtimestamp(ended / 1000, UTC).isoformat(timespec="seconds"),
        "setting": describe_setting(machine, versions),
        "run": run.info.run_id,
    }
