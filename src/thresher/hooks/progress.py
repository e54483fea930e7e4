"""Says in the terminal what a run does, while it does it and when it is done."""

from __future__ import annotations

import time
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from thresher.caching.plan import Plan
from thresher.candidate_failure import CandidateFailure
from thresher.events import Event, Notice, Step, TrainingStep, Trial, subscribe
from thresher.hooks.console import console
from thresher.hooks.failures import Failures
from thresher.hooks.report import print_plan, print_result, summarize
from thresher.pipelines.stage import recipe_of

SECONDS_A_LINE = 5


class ProgressHooks:
    """A bar over the nodes with what is going on below it; one line for each node that is done.

    A line begins with ✓, with ✗ where a candidate failed, and with – where a node had nothing to do for that reason.
    """

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._began: dict[str, float] = {}
        self._failures = Failures()
        self._unsubscribe: Any = None
        self._next_line = 0.0

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        columns = (TextColumn("[bold]{task.fields[recipe]}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, TextColumn("{task.description}"), console=console, transient=True)
        self._bar.add_task("MLflow starts", recipe=recipe_of(pipeline), total=len(pipeline.nodes))
        self._bar.start()
        self._failures = Failures()
        self._unsubscribe = subscribe(self._show)

    @hook_impl
    def after_plan_made(self, plan: Plan) -> None:
        print_plan(plan)

    @hook_impl
    def after_node_reused(self) -> None:
        self._advance()

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        self._began[node.name] = time.perf_counter()
        self._describe(node.name)

    @hook_impl
    def after_node_run(self, node: Node, outputs: dict[str, Any]) -> None:
        seconds = time.perf_counter() - self._began.pop(node.name, time.perf_counter())
        failed = next((value for value in outputs.values() if isinstance(value, CandidateFailure)), None)
        if failed is not None:
            mark, text = self._failures.describe(failed)
        else:
            mark, text = "[green]✓[/]", "; ".join(filter(None, map(summarize, outputs.values())))
        line = f"{mark} {node.name} [dim]{seconds:.1f} s[/]" + (f"  {text}" if text else "")
        console.print(line, highlight=False, soft_wrap=True)
        self._advance()

    @hook_impl
    def on_pipeline_error(self) -> None:
        self._stop()

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], catalog: Any, pipeline: Pipeline) -> None:
        self._stop()
        print_result(pipeline, catalog, run_params["env"])

    def _show(self, event: Event) -> None:
        if isinstance(event, Step):
            self._describe(event.text)
        elif isinstance(event, Trial):
            self._show_trial(event)
        elif isinstance(event, Notice):
            console.print(f"  {event.text}", highlight=False, markup=False, soft_wrap=True)
        elif isinstance(event, TrainingStep):
            self._describe(f"{event.training}: step {event.step:,}/{event.total_steps:,}, loss {event.loss:.4f}")
        elif not console.is_terminal and (event.epoch == event.epochs or time.perf_counter() > self._next_line):
            # Where there is no bar, a line now and then shows that it goes on.
            self._next_line = time.perf_counter() + SECONDS_A_LINE
            console.print(
                f"  {event.training}: epoch {event.epoch}/{event.epochs}, loss {event.training_loss:.4f}, "
                f"validation {event.metric} {event.validation_metric:.4f}, {event.seconds:.1f} s",
                highlight=False,
            )

    def _show_trial(self, trial: Trial) -> None:
        settings = ", ".join(
            f"{place.removeprefix('training.')} {_short(value)}" for place, value in trial.settings.items()
        )
        loss = "" if trial.validation_loss is None else f", validation loss {trial.validation_loss:.4f}"
        figures = "".join(f", {name} {value:,.4g}" for name, value in trial.figures.items())
        text = f"{trial.search} trial {trial.number + 1}/{trial.trials} {trial.state}{loss}{figures}: {settings}"
        console.print(f"  {text.lstrip()}", highlight=False, markup=False, soft_wrap=True)

    def _describe(self, text: str) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[0], description=text)

    def _advance(self) -> None:
        if self._bar:
            self._bar.advance(self._bar.task_ids[0])

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._unsubscribe()
            self._bar = None


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
