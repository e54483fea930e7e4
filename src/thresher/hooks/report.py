"""Results as a person reads them in the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import singledispatch
from pathlib import Path
from shlex import quote
from typing import Any

from kedro.pipeline import Pipeline
from rich import box
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from thresher.adapters.kedro import dataset_file
from thresher.caching.format_plan import plan_groups, plan_title
from thresher.caching.plan import Plan
from thresher.contracts.report import ContractReport
from thresher.evaluation.metrics import CONFIDENCE, format_value, measure_interval, speed_words
from thresher.evaluation.table import verdict_columns, verdict_rows
from thresher.hooks.console import console
from thresher.tracking.run_context import current
from thresher.tracking.ui import models_page
from thresher.training.hpo_table import winner_words

STYLES = {"WINS": "bold green", "fails": "dim"}
PLAN_STYLES = {"run": "bold yellow", "maybe": "yellow", "reused": "green"}
TEXT_COLUMNS = ("candidate", "verdict", "reason", "drop [interval]", "increase [interval]")
WIDTH_WITH_REASONS = 150


@singledispatch
def summarize(value: Any) -> str:
    """Return what one result came to in a few words; nothing where there is nothing to say."""
    # By name, so that a run that only checks a contract imports neither torch nor ONNX Runtime.
    return _SUMMARIES.get(type(value).__name__, lambda _: "")(value)


@summarize.register
def _(value: ContractReport) -> str:
    counts = value.statistics
    held = f"{counts['successful_expectations']:.0f}/{counts['evaluated_expectations']:.0f} expectations"
    state = "[green]holds[/]" if value.success else "[red]is broken[/]"
    return f"contract {state}: {held} on {value.num_samples:,} samples"


_SUMMARIES: dict[str, Callable[[Any], str]] = {
    "TrainingHistory": lambda value: (
        f"validation {value.metric} {value.epochs[value.best_epoch - 1].validation_metric:.4f} "
        f"in epoch {value.best_epoch} of {len(value.epochs)} on {value.device}"
    ),
    "Evaluation": lambda value: (
        f"{_describe_quality(value.quality)}, {value.cost.size_bytes / 1000:,.1f} kB, "
        f"{value.latencies[0].p50 * 1000:.0f} us{_describe_speed(value)}"
    ),
    "Calibration": lambda value: escape(value.sentence),
    "ChosenDecision": lambda value: escape(value.sentence),
    "ChosenExecution": lambda value: (
        f"{value.threads} thread{'s' * (value.threads > 1)}"
        + (", channels last" if value.channels_last else "")
        + (", compiled" if value.compile else "")
        + (f", {value.precision}" if value.precision != "fp32" else "")
        + (
            ", as timed here: training.execution (and precision) give the same weights, bit for bit, on another day"
            if value.trials
            else ""
        )
    ),
    "ExportedQuality": lambda value: value.sentence,
    "Imported": lambda value: escape(value.sentence),
    "RangeTest": lambda value: f"learning rate {value.learning_rate:.3g}",
    "SearchResult": lambda value: _describe_search(value),
    "Sensitivity": lambda value: f"{len(value.curves)} layers, one at a time",
    "BudgetSearch": lambda value: _describe_budget(value),
    "Challenge": lambda value: escape(value.reason if value.replaces else _describe_champion_stays(value)),
    "Bundle": lambda value: (
        f"version {value.info.model_version} stays, candidate {value.info.candidate}"
        if value.info.model_version
        else f"candidate {value.info.candidate} is registered"
    ),
}


def _describe_champion_stays(challenge: Any) -> str:
    return f"the champion, version {challenge.champion_version}, stays: {challenge.reason}"


def _describe_search(result: Any) -> str:
    return f"best of {len(result.trials)} trials: {escape(winner_words(result))}"


def _describe_budget(search: Any) -> str:
    best, kept = search.winner, "keeps" if search.keeps_budget else "[yellow]does not keep[/]"
    steps = ", ".join(step.kind for step in best.steps)
    return (
        f"best of {len(search.trials)} chains, {len(search.finalists)} finetuned: {steps}; "
        f"{search.metric} {best.metric:.4f}, {best.costs['size_bytes'] / 1000:,.1f} kB; {kept} the budget"
    )


def _describe_speed(evaluation: Any) -> str:
    """Return how fast a candidate is beside another model, as far as the rounds show it."""
    if evaluation.candidate == evaluation.reference:
        return ""
    unmeasured = evaluation.latencies[0].unmeasured
    speedup = None if unmeasured else measure_interval(evaluation, "speedup", CONFIDENCE)
    return f", {speed_words(speedup, evaluation.reference)}"


def _describe_quality(quality: Any) -> str:
    if quality.kind == "classification":
        return f"accuracy {quality.accuracy:.4f}"
    return f"RMSE {format_value('rmse', quality.rmse)}, R2 {quality.r2:.4f}"


def print_plan(plan: Plan) -> None:
    """Print what runs, what is reused from earlier runs, and why."""
    console.print(f"[bold]{escape(plan_title(plan))}[/]", highlight=False)
    for word, why, nodes in plan_groups(plan):
        line = f"[{PLAN_STYLES[word]}]{word:6}[/] {escape(why)}: [dim]{', '.join(nodes)}[/]"
        _print_indented(line)
    for shown in plan.shows:
        first, *further = shown.splitlines()
        _print_indented(f"[bold]shows[/]  {escape(first)}")
        for line in further:
            _print_indented(escape(" " * len("shows  ") + line))
    for note in plan.notes:
        _print_indented(f"[bold yellow]note[/]   {escape(note)}")


def _print_indented(line: str) -> None:
    console.print(
        Padding(line, (0, 0, 0, 2)) if console.is_terminal else f"  {line}",
        highlight=False,
        soft_wrap=not console.is_terminal,
    )


def print_result(pipeline: Pipeline, catalog: Any, env: str | None = None) -> None:
    """Print the verdict's table, where this run made one, and what to do next, where it packed a Bento.

    Args:
        env: the environment, a folder of conf/, that the run was in; None for Kedro's own, `local`.
    """
    outputs = pipeline.all_outputs()
    verdicts = [name for name in outputs if name.endswith(".verdict")]
    reports = [name for name in outputs if name.endswith(".report")]
    bentos = [name for name in outputs if name.endswith(".bento")]
    if verdicts:
        verdict = catalog.load(verdicts[0])
        print_verdict(verdict)
    if reports:
        where = os.path.relpath(str(dataset_file(catalog.get(reports[0]))))
        console.print(f"The report, to be opened in a browser: [bold]{where}[/]", highlight=False, soft_wrap=True)
    if bentos:
        recipe = bentos[0].partition(".")[0]
        _print_next(recipe, catalog.load(bentos[0]), catalog.load(f"{recipe}.challenge"), env)


def print_verdict(verdict: Any) -> None:
    """Print the verdict as a table. In a narrow terminal the reasons follow below it, in a very narrow one all does."""
    columns, rows = verdict_columns(verdict), verdict_rows(verdict)
    wide = console.width >= WIDTH_WITH_REASONS
    table = _table(verdict, rows, columns if wide else columns[:-1])
    # Rich would cut the cells of a table that does not fit, and with them the figures.
    needed = console.measure(table, options=console.options.update(max_width=1000)).maximum
    fits = wide or needed <= console.width
    console.print(table if fits else f"[bold]{escape(_title(verdict))}[/]\n{escape(_conditions(verdict))}\n")
    for row in () if wide else rows:
        figures = zip(columns[1:-1], row[1:-1], strict=True) if not fits else ()
        text = "".join(f"{name} {cell}; " for name, cell in figures) + row[-1]
        console.print(f"  [bold]{row[0]}[/]: {escape(text)}", highlight=False)


def _table(verdict: Any, rows: list[tuple[str, ...]], columns: tuple[str, ...]) -> Table:
    caption = escape(_conditions(verdict))
    table = Table(title=escape(_title(verdict)), title_style="bold", caption=caption, box=box.SIMPLE_HEAD)
    for column in columns:
        justify: Any = "left" if column in TEXT_COLUMNS else "right"
        table.add_column(escape(column), no_wrap=column != "reason", justify=justify)
    for row in rows:
        table.add_row(
            *(escape(cell) for cell in row[: len(columns)]), style=STYLES.get(row[columns.index("verdict")], "")
        )
    return table


def _title(verdict: Any) -> str:
    if not verdict.winner:
        return f"{verdict.recipe}: no candidate qualifies"
    return f"{verdict.recipe}: {verdict.winner} wins ({verdict.objective})"


def _conditions(verdict: Any) -> str:
    loss = "drop" if verdict.task == "classification" else "increase"
    return (
        f"{verdict.num_test_samples:,} test samples; {loss} against float, each bound at {verdict.confidence:.0%}; "
        f"latency at the first batch size on {verdict.machine['processor']}, measured {verdict.days}"
    )


def _print_next(recipe: str, bento: str, challenge: Any, env: str | None) -> None:
    if not challenge.replaces:
        why = escape(challenge.reason)
        console.print(f"[yellow]The champion, version {challenge.champion_version}, stays:[/] {why}.")
    uri = current().tracking_uri
    local = uri.startswith("sqlite")
    page = models_page("http://127.0.0.1:5000" if local else uri)
    thresher, option = _command("thresher"), f" --env {quote(env)}" if env else ""
    console.print(f"\nThe champion of [bold]{recipe}[/] is in the Bento [bold]{bento}[/]. Go on with:", highlight=False)
    for what, command in (
        ("look at the runs", f"{thresher} ui{option}" if local else f"open {page}"),
        *((("at this address", page),) if local else ()),
        ("serve it", f"{thresher} serve {recipe}{option}"),
        ("build the container", f"{thresher} containerize {recipe}{option}"),
    ):
        console.print(f"  {what + ':':21} {command}", highlight=False, soft_wrap=True)


def _command(name: str) -> str:
    """Return how ``name`` is called from here: by its path where the environment is not activated.

    `make run` activates it for its commands alone, not for the shell that it is called from.
    """
    ours = Path(sys.executable).with_name(name)
    if shutil.which(name) == str(ours) and "MAKELEVEL" not in os.environ:
        return name
    return quote(str(ours.relative_to(Path.cwd()) if ours.is_relative_to(Path.cwd()) else ours))
