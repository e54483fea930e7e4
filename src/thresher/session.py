"""Kedro's session, in which a run leaves out what earlier runs have done."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from thresher.adapters.kedro import folder_of, hooks_of
from thresher.caching.controller import RunController
from thresher.caching.plan import Plan
from thresher.caching.records import Record
from thresher.catalog.check import require_sound_data
from thresher.config_loader import RecipeConfigLoader
from thresher.errors import ThresherError
from thresher.hooks.caching import CachingHooks, printing_steps
from thresher.hooks.specs import CachingSpecs

SELECTORS = {
    **{name: name for name in ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs")},
    "namespaces": "node_namespaces",
}
"""What a session calls the options that select nodes -> what a pipeline calls them."""
DEFAULT = "__default__"
"""How Kedro calls what a run without a name runs."""


class SelectionError(ThresherError):
    """A node, tag or dataset that the recipe does not have."""


class IncrementalSession(KedroSession):
    """Runs what changed, with the runner and the selection of nodes that were asked for."""

    _asked: Sequence[str] | None = None
    """Recipes whose data is checked as soon as the configuration is there; none for commands that run nothing."""
    _selection: Mapping[str, Any] = MappingProxyType({})
    """Which of their nodes run, as `Pipeline.filter` takes it."""

    def run(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Run as Kedro does, with the same arguments, less the nodes that are reused from earlier runs.

        `only_missing_outputs` is Kedro's own rule, by existence alone; where it is asked for, it decides.

        Raises:
            AlreadyRunningError: another process runs the recipe, and `run.if_running` is "fail".
            RecipeError: its data is missing, or not what the recipe says.
            SelectionError: a node, tag or dataset is named that the recipe does not have.
        """
        bound = inspect.signature(super().run).bind(*arguments, **options).arguments
        names = bound.get("pipeline_names") or [bound.get("pipeline_name")]
        self._asked = [str(name or DEFAULT) for name in names]
        self._selection = {SELECTORS[name]: value for name, value in bound.items() if name in SELECTORS}
        runner = bound.pop("runner", None) or SequentialRunner()
        controller = self._controller()
        manager = hooks_of(self)
        hooks = CachingHooks(manager, controller)
        manager.add_hookspecs(CachingSpecs)
        # In Kedro, the last to be registered is called first: the plan comes before MLflow is waited for.
        manager.register(hooks)
        try:
            result: dict[str, Any] = super().run(runner=controller.narrow(runner), **bound)
            return result
        finally:
            manager.unregister(hooks)
            controller.end()

    def load_context(self) -> KedroContext:
        """Return Kedro's context, once the data of what is about to run is known to be sound.

        Before the catalog is made: Kedro would end in a traceback there.
        """
        context = super().load_context()
        loader = context.config_loader
        assert isinstance(loader, RecipeConfigLoader)
        for name in self._asked or ():
            require_sound_data(loader, str(loader.default_recipe) if name == DEFAULT else name)
            self._select(name)
        return context

    def _select(self, recipe: str) -> Pipeline:
        """Return the nodes of ``recipe`` that were asked for; raises a SelectionError where there are none."""
        try:
            selected: Pipeline = pipelines[recipe].filter(**self._selection)
        except ValueError as error:
            hint = f"`kedro registry describe {recipe}` lists its nodes."
            raise SelectionError(f"Recipe {recipe}: {error} {hint}") from error
        return selected

    def plan(self, recipe: str, **selection: Any) -> Plan:
        """Return what a run would do; nothing runs.

        Args:
            selection: as `Pipeline.filter` takes it.

        Raises:
            RecipeError: its data is missing, or not what the recipe says.
            SelectionError: it names what the recipe does not have.
        """
        self._asked, self._selection = [recipe], selection
        context = self.load_context()
        with printing_steps():
            return self._controller().plan(self._select(recipe), context.catalog)

    def _controller(self) -> RunController:
        def on_reused(node: Node, record: Record, catalog: CatalogProtocol[Any, Any]) -> None:
            hooks_of(self).hook.after_node_reused(node=node, record=record, catalog=catalog)

        return RunController(folder_of(self), on_reused)
