"""Kedro's calls, handed on to what decides which nodes run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pluggy import PluginManager

from thresher.adapters.kedro import Catalog
from thresher.caching.controller import RunController
from thresher.caching.recording_node import RecordingFunction
from thresher.events import Event, Step, subscribe
from thresher.hooks.console import console
from thresher.tracking.patience import waiting_folders


class RecordingHooks:
    """Lets a node's record be written when its last output is: in the process that it runs in."""

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        if isinstance(node.func, RecordingFunction):
            node.func.saved(dataset_name)


class CachingHooks:
    """Has the plan of a run made and told before its first node."""

    def __init__(self, manager: PluginManager, controller: RunController) -> None:
        self._manager, self._controller = manager, controller

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
        with printing_steps():
            plan = self._controller.begin(pipeline, catalog)
        if not run_params["only_missing_outputs"]:
            self._manager.hook.after_plan_made(plan=plan)
        self._controller.make_store()
        deliver_waiting()


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


@contextmanager
def printing_steps() -> Iterator[None]:
    """Print what is reported in the block, line by line: there is no bar yet."""

    def show(event: Event) -> None:
        if isinstance(event, Step):
            console.print(event.text, style="dim", highlight=False)

    end = subscribe(show)
    try:
        yield
    finally:
        end()
