"""Logs a run to MLflow while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from thresher.caching.format_plan import plan_text
from thresher.caching.plan import Plan
from thresher.caching.records import STATE_FOLDER, Record
from thresher.events import subscribe
from thresher.models import FLOAT
from thresher.pipelines.stage import TRAINS, recipe_of
from thresher.tracking import run
from thresher.tracking.parameters import flatten
from thresher.tracking.patience import be_patient
from thresher.tracking.run_context import enter_project
from thresher.tracking.settings import TrackingSettings, resolve
from thresher.tracking.store import follow_project


class TrackingHooks:
    """One MLflow run a `kedro run`. MLflow is imported when a run starts, not by any other command."""

    _settings: TrackingSettings
    _context: KedroContext
    _subscriptions: list[Callable[[], None]]
    _plan: Plan | None = None

    def __init__(self) -> None:
        self._taken: dict[tuple[str, str], list[str]] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        loader: Any = context.config_loader
        self._context, self._settings = context, resolve(loader["mlflow"], context.project_path)
        enter_project(self._settings.tracking_uri, context.project_path / STATE_FOLDER / "spool")
        be_patient()
        if follow_project(context.project_path, self._settings.artifact_folder):
            click.echo("The project was moved or copied: MLflow's artifacts are looked for in it.", err=True)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        recipe = recipe_of(pipeline)
        loader: Any = self._context.config_loader
        parameters = loader["parameters"][recipe]
        tags = run.describe_environment(self._context.project_path)
        tags |= {"recipe": recipe, "kedro_command": describe_selection(run_params)}
        run.start_run(self._settings, recipe, parameters, tags)

        from thresher.tracking import logs, trials

        logs.log_recipe(parameters)
        if self._plan is not None:
            logs.log_plan(plan_text(self._plan))
        self._subscriptions = [subscribe(observer) for observer in (logs.log_event, trials.log_trial)]

    @hook_impl
    def after_node_run(
        self, node: Node, catalog: CatalogProtocol, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> None:
        from thresher.evaluation.verdict import Verdict
        from thresher.tracking import logs, results

        logs.log_waiting()
        for name, value in outputs.items():
            results.log_result(name, value, catalog)
        if any(isinstance(value, Verdict) for value in outputs.values()):
            results.log_candidates(node.outputs[0].partition(".")[0], inputs, catalog)

    @hook_impl
    def after_plan_made(self, plan: Plan) -> None:
        self._plan = plan

    @hook_impl
    def after_node_reused(self, node: Node, record: Record, catalog: CatalogProtocol) -> None:
        from thresher.tracking import reused

        self._taken.setdefault((record.experiment_id, record.run_id), []).append(node.name)
        reused.log_reused(node.outputs, catalog)
        if TRAINS in node.tags:
            reused.copy_curves(node.namespace or FLOAT, record.run_id)

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        self._finish()
        run.end_run("FAILED", str(error))

    @hook_impl
    def after_pipeline_run(self) -> None:
        self._finish()
        run.end_run("FINISHED")

    def _finish(self) -> None:
        from thresher.tracking.reused import link_runs

        for unsubscribe in self._subscriptions:
            unsubscribe()
        link_runs(self._taken)
        self._plan, self._taken = None, {}  # the next run in this process may have no plan


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
