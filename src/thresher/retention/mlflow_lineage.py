"""What MLflow holds of one recipe, and which of its runs lead to which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from thresher.retention.artifacts import CleaningError
from thresher.tracking.history import CHAMPION, find_former, read_moves
from thresher.tracking.run_context import EXPERIMENT_TAGS, PARENT, REUSED_FROM, REUSED_FROM_BEFORE, current
from thresher.tracking.settings import SQLITE
from thresher.tracking.store_file import registry_is_empty

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

MODEL = "models:/"


@dataclass(frozen=True)
class Tracked:
    """The runs of a recipe's experiment, those in MLflow's bin too, and what came of them.

    Attributes:
        models: logged models by their ids; none of those that are in the bin.
        versions: registered models by their numbers.
        aliases: alias -> number of the version that has it.
    """

    recipe: str
    runs: dict[str, Run] = field(default_factory=dict)
    models: dict[str, LoggedModel] = field(default_factory=dict)
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    former: str = ""
    """The number of the version that `thresher rollback` would return to."""
    models_folder: str = ""
    """The address of the folder in which the experiment keeps logged models."""

    @property
    def champion(self) -> ModelVersion | None:
        """The version with the alias `champion`."""
        return self.versions.get(self.aliases.get(CHAMPION, ""))

    @cached_property
    def champion_runs(self) -> set[str]:
        """The runs that the champion descends from."""
        return self.runs_behind(self.champion) if self.champion else set()

    def runs_behind(self, version: ModelVersion) -> set[str]:
        """Return the runs that ``version`` descends from: that made its model or registered it, and theirs."""
        model = self.models.get((version.source or "").removeprefix(MODEL))
        made = {run for run in (version.run_id, model.source_run_id if model else None) if run}
        return self.lineage(made | self.registered_in(version))

    def registered_in(self, version: ModelVersion) -> set[str]:
        """Return the runs that went on when ``version`` was registered: one, where they go by turns."""
        moment = version.creation_timestamp
        return {run_id for run_id, run in self.runs.items() if _went_on(run, moment)}

    def lineage(self, runs: Iterable[str]) -> set[str]:
        """Return ``runs`` with their trials and all that they took results from, and those with theirs, and so on."""
        found: set[str] = set()
        waiting = list(runs)
        while waiting:
            run_id = waiting.pop()
            if run_id not in found:
                found.add(run_id)
                waiting.extend(self._reused_from(run_id) | self._trials_of[run_id])
        return found

    @cached_property
    def used(self) -> dict[str, datetime]:
        """Run -> when it, or a run that took results from it, ended."""
        used: dict[str, datetime] = {}
        for run_id, run in self.runs.items():
            for older in self.lineage([run_id]):
                used[older] = max(used.get(older, ended(run)), ended(run))
        return used

    @cached_property
    def models_of(self) -> dict[str, list[LoggedModel]]:
        """Run -> the models that it logged."""
        found: dict[str, list[LoggedModel]] = defaultdict(list)
        for model in self.models.values():
            found[str(model.source_run_id)].append(model)
        return found

    @property
    def registered_models(self) -> set[str]:
        """The ids of the models that versions with an alias, and the one to roll back to, are made of."""
        needed = {*self.aliases.values(), self.former}
        versions = [version for number, version in self.versions.items() if number in needed]
        return {(version.source or "").removeprefix(MODEL) for version in versions}

    def linked_models(self, run_id: str) -> list[str]:
        """Return the ids of the models that the run names as its own, whoever logged them, gone or not."""
        outputs = self.runs[run_id].outputs
        return [output.model_id for output in outputs.model_outputs] if outputs else []

    @cached_property
    def _trials_of(self) -> dict[str, set[str]]:
        """Run -> the trials of a search that are nested in it."""
        found: dict[str, set[str]] = defaultdict(set)
        for run_id, run in self.runs.items():
            found[run.data.tags.get(PARENT, "")].add(run_id)
        return found

    def _reused_from(self, run_id: str) -> set[str]:
        if run_id not in self.runs:
            return set()
        tags = self.runs[run_id].data.tags
        named = f"{tags.get(REUSED_FROM, '')},{tags.get(REUSED_FROM_BEFORE, '')}".split(",")
        models = (self.models.get(model_id) for model_id in self.linked_models(run_id))
        return {name.strip() for name in named if name.strip()} | {str(m.source_run_id) for m in models if m}


def ended(run: Run) -> datetime:
    """Return when ``run`` ended, or began where it has no end."""
    return datetime.fromtimestamp((run.info.end_time or run.info.start_time) / 1000, UTC)


def read_tracked(recipe: str) -> Tracked:
    """Return what MLflow holds of ``recipe``, which may be nothing.

    Raises:
        CleaningError: MLflow cannot be asked.
    """
    if registry_is_empty():
        return Tracked(recipe)
    with explaining_mlflow_errors():
        return _read(recipe)


def tracked_recipes() -> set[str]:
    """Return the recipes that a tracking store of this project has experiments of; a server may have those of others.

    Raises:
        CleaningError: MLflow cannot be asked.
    """
    if registry_is_empty() or not current().tracking_uri.startswith(SQLITE):
        return set()
    import mlflow

    with explaining_mlflow_errors():
        experiments = mlflow.search_experiments()
    return {one.name for one in experiments if EXPERIMENT_TAGS.items() <= one.tags.items()}


@contextmanager
def explaining_mlflow_errors() -> Iterator[None]:
    """Turn what MLflow raises in the block into a CleaningError."""
    from mlflow import MlflowException

    try:
        yield
    except MlflowException as error:
        hint = "Fix: see that it can be reached and changed, or choose another by --env or MLFLOW_TRACKING_URI."
        raise CleaningError(f"MLflow at {current().tracking_uri}: {error}\n{hint}") from error


def _read(recipe: str) -> Tracked:
    import mlflow
    from mlflow.entities import ViewType

    client = mlflow.MlflowClient()
    versions = mlflow.search_model_versions(filter_string=f"name = '{recipe}'")
    registered = client.get_registered_model(recipe) if versions else None
    aliases = {alias: str(number) for alias, number in registered.aliases.items()} if registered else {}
    former = find_former(read_moves(registered.tags), aliases.get(CHAMPION, "")) if registered else ""
    experiment = client.get_experiment_by_name(recipe)
    ids = [experiment.experiment_id] if experiment else []
    runs = mlflow.search_runs(ids, run_view_type=ViewType.ALL, output_format="list") if ids else []
    models = mlflow.search_logged_models(experiment_ids=ids, output_format="list") if ids else []
    return Tracked(
        recipe,
        {run.info.run_id: run for run in runs},
        {model.model_id: model for model in models},
        {str(version.version): version for version in versions},
        aliases,
        former,
        f"{experiment.artifact_location}/models" if experiment else "",
    )


def _went_on(run: Run, moment: int) -> bool:
    return bool(run.info.start_time <= moment <= (run.info.end_time or moment))
