"""One run of a recipe: its lock, its plan, and the runner that keeps to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner
from pluggy import PluginManager

from thresher.adapters.kedro import Catalog, run_through
from thresher.caching.dependencies import BENTOFILE
from thresher.caching.incremental_run import IncrementalRun
from thresher.caching.lock import RecipeLock, store_lock
from thresher.caching.notes import add_notes
from thresher.caching.plan import Plan
from thresher.caching.records import Record
from thresher.config_loader import RecipeConfigLoader, active_loader
from thresher.packaging.build_context import check_packaging
from thresher.pipelines.stage import recipe_of
from thresher.tracking.server import require_server
from thresher.tracking.store import make_store, mend_store


class RunController:
    """Decides which nodes of a run are reused, and has Kedro's runner run the others."""

    _lock: RecipeLock | None = None
    _run: IncrementalRun
    _plan: Plan
    _fresh: bool

    def __init__(self, project: Path, on_reused: Callable[[Node, Record, Catalog], Any]) -> None:
        """Take the project's folder, and what to call for each node that does not run, once that is certain."""
        self._project, self._on_reused = project, on_reused

    def begin(self, pipeline: Pipeline, catalog: Catalog) -> Plan:
        """Wait for other runs of the recipe, and return the plan that this one keeps to.

        Raises:
            AlreadyRunningError: another process runs the recipe, and `run.if_running` is "fail".
        """
        self._lock = RecipeLock(self._project, recipe_of(pipeline))
        self._lock.acquire(_loader().run_options.if_running)
        self._plan = self.plan(pipeline, catalog)
        return self._plan

    def plan(self, pipeline: Pipeline, catalog: Catalog) -> Plan:
        """Return what of ``pipeline`` would run now, and why."""
        recipe, loader = recipe_of(pipeline), _loader()
        if BENTOFILE in pipeline.inputs():
            check_packaging(self._project, recipe)
        self._fresh = loader.run_options.fresh
        require_server()
        with store_lock(self._project):  # the champion cannot be asked for in a store that another run is just making
            mend_store()
        self._run = IncrementalRun(self._project, recipe, pipelines[recipe], loader["parameters"], catalog)
        plan = self._run.plan(pipeline, set(), self._fresh)
        return add_notes(loader.recipes[recipe], plan, catalog)

    def make_store(self) -> None:
        """Make MLflow's store, if the project has none."""
        with store_lock(self._project):
            make_store()

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
                return run_nodes(self._run.record_all(pipeline), catalog, hook_manager, run_id, True)
            self._run.execute(
                pipeline,
                self._plan,
                lambda wave: run_nodes(wave, catalog, hook_manager, run_id),
                lambda node, record: self._on_reused(node, record, catalog),
                self._fresh,
            )
            return {name: catalog[name] for name in pipeline.outputs()}

        run_through(runner, run)
        return runner

    def end(self) -> None:
        """Let the next run of the recipe begin."""
        if self._lock is not None:
            self._lock.release()


def _loader() -> RecipeConfigLoader:
    loader = active_loader()
    assert loader is not None, "Kedro makes the context, and with it the loader, before any pipeline"
    return loader
