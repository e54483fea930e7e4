"""The runs of MLflow, with their artifacts, logged models and the versions that were registered of these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse
from urllib.request import url2pathname

from thresher.adapters.mlflow import delete_for_good
from thresher.retention.artifacts import SHORT_ID, Item, Kind, delete, size_of
from thresher.retention.mlflow_lineage import Tracked, ended, explaining_mlflow_errors
from thresher.tracking.history import CHAMPION

if TYPE_CHECKING:
    from mlflow.entities import Run

ENDED = ("FINISHED", "FAILED", "KILLED")
DELETED = "deleted"


def find_runs(tracked: Tracked, outputs: Iterable[Item] = ()) -> list[Item]:
    """Return every run of the recipe; where it led to a version with an alias, with the reason to keep it.

    Args:
        outputs: those that nodes left: of which some stay, and with them the runs that made them.
    """
    made = (getattr(item, "run_id", "") for item in outputs if item.kept)
    reasons = dict.fromkeys(tracked.lineage(made), "it made outputs that stay") | _reasons(tracked)
    items = [_as_item(_TrackedRun(run, tracked), reasons.get(run_id, "")) for run_id, run in tracked.runs.items()]
    # The files of a run in MLflow's bin may be gone, on a server also out of sight.
    return [item for item in items if item.size or tracked.runs[item.run_id].info.lifecycle_stage != DELETED]


@dataclass(frozen=True)
class RunItem(Item):
    """One run of MLflow."""

    run_id: str = ""
    is_remote: bool = False
    """Whether its artifacts are out of reach: the server deletes them by `mlflow gc`."""


@dataclass(frozen=True)
class _TrackedRun:
    run: Run
    tracked: Tracked

    @property
    def run_id(self) -> str:
        return str(self.run.info.run_id)

    @property
    def model_ids(self) -> set[str]:
        """The models that it logged, and those that it names and that are in MLflow's bin: left by a clean cut off."""
        gone = set(self.tracked.linked_models(self.run_id)) - set(self.tracked.models) - self.tracked.registered_models
        return {model.model_id for model in self.tracked.models_of[self.run_id]} | gone

    @property
    def addresses(self) -> list[str]:
        models = (f"{self.tracked.models_folder}/{model_id}" for model_id in sorted(self.model_ids))
        return [self.run.info.artifact_uri.removesuffix("/artifacts"), *models]

    @property
    def folders(self) -> list[Path]:
        return [path for address in self.addresses if (path := local_path(address)) is not None]

    def free(self) -> None:
        """Delete the run and what came of it; a reader of MLflow finds no model whose files are gone."""
        from mlflow import MlflowClient

        client = MlflowClient()
        with explaining_mlflow_errors():
            for version in self.tracked.versions.values():
                if version.run_id == self.run_id:
                    client.delete_model_version(version.name, version.version)
            for model in self.tracked.models_of[self.run_id]:
                client.delete_logged_model(model.model_id)
            if self.run.info.lifecycle_stage != DELETED:
                client.delete_run(self.run_id)
        for folder in self.folders:
            delete(folder, folder.parent)
        with explaining_mlflow_errors():
            delete_for_good(self.run_id, self.model_ids)


def local_path(address: str) -> Path | None:
    """Return the path that ``address`` means on this machine, None where it is on another."""
    parts = urlparse(address)
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def _as_item(one: _TrackedRun, reason: str) -> RunItem:
    info = one.run.info
    running = "" if info.status in ENDED else f"it is {info.status} in MLflow"
    models = len(one.tracked.models_of[one.run_id])
    with_models = f", {models} model{'s' if models > 1 else ''}" if models else ""
    return RunItem(
        recipe=one.tracked.recipe,
        kind=Kind.RUN,
        name=f"{one.run_id[:SHORT_ID]} ({info.run_name}{with_models})",
        made=ended(one.run),
        size=size_of(one.folders),
        free=one.free,
        used=one.tracked.used[one.run_id],
        kept=running or reason,
        run_id=one.run_id,
        is_remote=local_path(info.artifact_uri) is None,
    )


def _reasons(tracked: Tracked) -> dict[str, str]:
    """Return run -> why it is kept: versions with an alias descend from it, most of all the champion.

    Or the one that was champion before: `thresher rollback` returns to it.
    """
    reasons: dict[str, str] = {}
    if former := tracked.versions.get(tracked.former):
        what = f"the former champion, version {former.version}, descends from it"
        reasons |= dict.fromkeys(tracked.runs_behind(former), what)
    for alias, number in sorted(tracked.aliases.items(), key=lambda pair: pair[0] == CHAMPION):
        name = f"champion, version {number}," if alias == CHAMPION else f"version {number}, alias {alias},"
        behind = tracked.runs_behind(tracked.versions[number])
        reasons |= dict.fromkeys(behind, f"the {name} descends from it")
    return reasons
