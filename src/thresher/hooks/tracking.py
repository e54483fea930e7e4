"""Logs a run to MLflow while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from thresher.adapters.kedro import Catalog
from thresher.caching.format_plan import plan_text
from thresher.caching.plan import Plan
from thresher.caching.records import STATE_FOLDER, Record
from thresher.pipelines.stage import recipe_of
from thresher.tracking.parameters import flatten
from thresher.tracking.patience import be_patient
from thresher.tracking.run_context import enter_project
from thresher.tracking.settings import TrackingSettings, resolve
from thresher.tracking.store import follow_project

if TYPE_CHECKING:
    from thresher.tracking.observer import RunObserver


class TrackingHooks:
    """One MLflow run a `kedro run`."""

    _settings: TrackingSettings
    _context: KedroContext
    _observer: RunObserver
    _plan: Plan | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        loader: Any = context.config_loader
        self._context, self._settings = context, resolve(loader["mlflow"], context.project_path)
        enter_project(self._settings.tracking_uri, context.project_path / STATE_FOLDER / "spool")
        be_patient()
        if follow_project(context.project_path, self._settings.artifact_folder):
            click.echo("The project was moved or copied: MLflow's artifacts are looked for in it.", err=True)

    @hook_impl
    def after_plan_made(self, plan: Plan) -> None:
        self._plan = plan

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        from thresher.tracking.observer import RunObserver  # it imports MLflow, which no other command is to wait for

        recipe = recipe_of(pipeline)
        loader: Any = self._context.config_loader
        tags = {"recipe": recipe, "kedro_command": describe_selection(run_params)}
        project, parameters = self._context.project_path, loader["parameters"][recipe]
        plan = plan_text(self._plan) if self._plan is not None else ""
        self._observer = RunObserver(self._settings, project, recipe, parameters, tags, plan)
        self._plan = None  # the next run in this process may have none

    @hook_impl
    def after_node_run(self, catalog: Catalog, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        self._observer.log_outputs(inputs, outputs, catalog)

    @hook_impl
    def after_node_reused(self, node: Node, record: Record, catalog: Catalog) -> None:
        self._observer.log_reused(node, (record.experiment_id, record.run_id), catalog)

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        self._observer.end("FAILED", str(error))

    @hook_impl
    def after_pipeline_run(self) -> None:
        self._observer.end("FINISHED")


def describe_selection(run_params: dict[str, Any]) -> str:
    """Return the `kedro run` command that selects the same nodes."""
    options = {
        "--pipelines": run_params.get("pipeline_names"),
        "--env": run_params.get("env"),
        "--tags": run_params.get("tags"),
        "--nodes": run_params.get("node_names"),
        "--from-nodes": run_params.get("from_nodes"),
        "--to-nodes": run_params.get("to_nodes"),
        "--from-inputs": run_params.get("from_inputs"),
        "--to-outputs": run_params.get("to_outputs"),
        "--namespaces": run_params.get("namespaces"),
        "--only-missing-outputs": [""] if run_params.get("only_missing_outputs") else None,
        "--params": [f"{key}={value}" for key, value in flatten(run_params.get("runtime_params") or {}).items() if key],
    }
    words = [
        f"{name} {value if isinstance(value, str) else ','.join(value)}".strip()
        for name, value in options.items()
        if value
    ]
    return " ".join(["kedro run", *words])
