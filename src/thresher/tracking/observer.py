"""One run as it is logged, from its start to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.pipeline.node import Node

from thresher.adapters.kedro import Catalog
from thresher.evaluation.verdict import Verdict
from thresher.events import subscribe
from thresher.models import FLOAT
from thresher.pipelines.stage import TRAINS
from thresher.tracking import logs, results, reused
from thresher.tracking.run import describe_environment, end_run, start_run
from thresher.tracking.settings import TrackingSettings
from thresher.tracking.trials import log_trial


class RunObserver:
    """Starts an MLflow run when it is made, and logs to it what it is told."""

    def __init__(
        self,
        settings: TrackingSettings,
        project: Path,
        recipe: str,
        parameters: dict[str, Any],
        tags: dict[str, str],
        plan: str,
    ) -> None:
        """Start the run.

        Args:
            plan: what it is to do, as text; empty where it has no plan.
        """
        start_run(settings, recipe, parameters, describe_environment(project) | tags)
        logs.log_recipe(parameters)
        if plan:
            logs.log_plan(plan)
        self._subscriptions = [subscribe(observer) for observer in (logs.log_event, log_trial)]
        self._reused: dict[tuple[str, str], list[str]] = {}

    def log_outputs(self, inputs: dict[str, Any], outputs: dict[str, Any], catalog: Catalog) -> None:
        """Log what a node gave, by the names of its datasets; with a verdict, the evaluations among its inputs."""
        logs.log_waiting()
        for name, value in outputs.items():
            results.log_result(name, value, catalog)
            if isinstance(value, Verdict):
                results.log_candidates(value.recipe, inputs, catalog)

    def log_reused(self, node: Node, made_by: tuple[str, str], catalog: Catalog) -> None:
        """Log the outputs of a node that did not run.

        Args:
            made_by: the experiment and the run that made them.
        """
        self._reused.setdefault(made_by, []).append(node.name)
        reused.log_reused(node.outputs, catalog)
        if TRAINS in node.tags:
            reused.copy_curves(node.namespace or FLOAT, made_by[1])

    def end(self, status: str, error: str = "") -> None:
        """End the run as FINISHED or FAILED."""
        for unsubscribe in self._subscriptions:
            unsubscribe()
        reused.link_runs(self._reused)
        end_run(status, error)
