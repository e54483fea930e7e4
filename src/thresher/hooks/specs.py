"""The hooks that Thresher adds to Kedro's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedro.framework.hooks.markers import hook_spec
from kedro.pipeline.node import Node

from thresher.adapters.kedro import Catalog

if TYPE_CHECKING:
    from thresher.caching.plan import Plan
    from thresher.caching.records import Record


class CachingSpecs:
    """Called in the process that `kedro run` was called in, whatever the runner."""

    @hook_spec
    def after_plan_made(self, plan: Plan) -> None:
        """The plan of a run is known, and nothing has run yet."""

    @hook_spec
    def after_node_reused(self, node: Node, record: Record, catalog: Catalog) -> None:
        """It is certain that ``node`` does not run: its outputs are those of the run that ``record`` is of."""
