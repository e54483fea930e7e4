"""Leaves out of a run what earlier runs have done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner
from pluggy import PluginManager

from thresher.caching.dependencies import BENTOFILE
from thresher.caching.incremental_run import ReuseRun
from thresher.caching.lock import RecipeLock, store_lock
from thresher.caching.plan import Plan
from thresher.caching.recording_node import Recorded
from thresher.config_loader import RecipeConfigLoader, active_loader
from thresher.events import Event, Step, subscribe
from thresher.hooks.bounds import find_notes
from thresher.hooks.console import console
from thresher.hooks.recipe import recipe_of
from thresher.packaging.build_context import check_packaging
from thresher.tracking.patience import waiting_folders
from thresher.tracking.server import require_server
from thresher.tracking.store import make_store, mend_store


class RecordHooks:
    """Lets a node's record be written when its last output is: in the process that it runs in."""

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        if isinstance(node.func, Recorded):
            node.func.saved(dataset_name)


class ReuseHooks:
    """One run's plan, and the runner that keeps to it."""

    _lock: RecipeLock | None = None
    _reuse: ReuseRun
    _plan: Plan
    _fresh: bool

    def __init__(self, manager: PluginManager, project: Path) -> None:
        self._manager, self._project = manager, project

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        self._lock = RecipeLock(self._project, recipe_of(pipeline))
        with saying_steps():
            self._lock.acquire(_loader().run_options.if_running)
        self._plan = self.plan(pipeline, catalog)
        if not run_params["only_missing_outputs"]:
            self._manager.hook.after_plan_made(plan=self._plan)
        with store_lock(self._project):
            make_store()
        deliver_waiting()

    def plan(self, pipeline: Pipeline, catalog: CatalogProtocol) -> Plan:
        """Return what of ``pipeline`` would run now, and why."""
        recipe, loader = recipe_of(pipeline), _loader()
        if BENTOFILE in pipeline.inputs():
            check_packaging(self._project, recipe)
        self._fresh = loader.run_options.fresh
        require_server()
        with store_lock(self._project):  # the champion cannot be asked for in a store that another run is just making
            mend_store()
        with saying_steps():
            self._reuse = ReuseRun(self._project, recipe, pipelines[recipe], loader["parameters"], catalog)
            plan = self._reuse.plan(pipeline, set(), self._fresh)
            return replace(plan, notes=find_notes(loader.recipes[recipe], plan, catalog))

    def narrow(self, runner: AbstractRunner) -> AbstractRunner:
        """Return ``runner`` so that it runs what must be of the pipeline it is given, in its own way."""
        run_nodes = runner.run

        def run(
            pipeline: Pipeline,
            catalog: Any,
            hook_manager: PluginManager | None = None,
            run_id: str | None = None,
            only_missing_outputs: bool = False,
        ) -> dict[str, Any]:
            if only_missing_outputs:
                return run_nodes(self._reuse.record_all(pipeline), catalog, hook_manager, run_id, True)
            self._reuse.execute(
                pipeline,
                self._plan,
                lambda wave: run_nodes(wave, catalog, hook_manager, run_id),
                lambda node, record: self._manager.hook.after_node_taken(node=node, record=record, catalog=catalog),
                self._fresh,
            )
            return {name: catalog[name] for name in pipeline.outputs()}

        # Kedro asks what kind of runner it has, so that one around it would not do.
        runner.run = run  # type: ignore[method-assign]
        return runner

    def end(self) -> None:
        """Let the next run of the recipe begin."""
        if self._lock is not None:
            self._lock.release()


def deliver_waiting() -> None:
    """Deliver what earlier runs of the project have logged while the tracking server was away.

    What it refuses, such as entries of a run that was deleted since, is said and stops no other run.
    """
    if any(waiting_folders()):
        from thresher.tracking.spool import SpoolError, deliver_all

        try:
            for run, count in deliver_all().items():
                console.print(f"Delivered {count} entries of run {run[:8]} to MLflow, which was away.", highlight=False)
        except SpoolError as error:
            click.secho(str(error), fg="yellow", err=True)


def _loader() -> RecipeConfigLoader:
    loader = active_loader()
    assert loader is not None, "Kedro makes the context, and with it the loader, before any pipeline"
    return loader


@contextmanager
def saying_steps() -> Iterator[None]:
    """Print what is reported in the block, line by line: there is no bar yet."""

    def say(event: Event) -> None:
        if isinstance(event, Step):
            console.print(event.text, style="dim", highlight=False)

    end = subscribe(say)
    try:
        yield
    finally:
        end()
