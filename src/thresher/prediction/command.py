"""`thresher predict RECIPE --in DATA --out FILE`: scores new data with the champion."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from thresher.caching.file_hashes import FileHashes
from thresher.caching.records import STATE_FOLDER
from thresher.catalog.entries import Catalog
from thresher.errors import DataError
from thresher.prediction.parts import Parts
from thresher.prediction.remote import local_copy
from thresher.prediction.report import LARGE, Report
from thresher.prediction.run import Request, describe, write_answers
from thresher.registry.champion_model import read_champion
from thresher.registry.project import RecipeProject, open_recipes
from thresher.serving.core.bundle import Bundle
from thresher.tracking.settings import resolve

MOST_TOLD = 10


def score(folder: Path, request: Request, environment: str | None) -> None:
    """Do what `predict_all` does, and print it.

    Raises:
        DataError: besides what it raises, that no sample at all has an answer.
    """
    report = predict_all(folder, request, environment)
    parts = Parts(request.output, {})
    print_report(report, parts, Console(highlight=False))
    if not report.num_predicted:
        raise DataError(
            f"No sample has an answer. {parts.rejected_file if report.num_rejected else '--where'} says why."
        )


def predict_all(folder: Path, request: Request, environment: str | None = None) -> Report:
    """Write the champion's answers to new data, and say what came of it.

    Raises:
        ThresherError: what the user can mend: the data, the output, no champion.
    """
    request.check()
    with open_recipes(folder, environment) as project, ExitStack() as stack:
        bundle = read_champion(request.recipe, project)
        if request.address:
            request = replace(request, data=stack.enter_context(local_copy(request.address, folder)))
        hashes = FileHashes(folder / STATE_FOLDER / "hashes.db")
        data_hash = hashes.of(request.data)
        hashes.save()
        recipe = project.recipes.get(request.recipe)
        metrics = recipe.measured_metrics if recipe else ()
        report = write_answers(request, bundle, _test_options(request.recipe, project), data_hash, metrics)
        _log(request, bundle, data_hash, report, project)
    Parts(request.output, {}).remove()
    return report


def _test_options(recipe: str, project: RecipeProject) -> Any:
    """Return the reader's options of the recipe's test data, by which new data is read; None where there are none."""
    if recipe not in project.recipes:
        click.echo(f"Recipe {recipe} is missing or broken: the data is read as readers do by default.", err=True)
        return None
    entry = Catalog(project.loader).entry(project.recipes[recipe].data.test, recipe)
    return entry.options


def _log(request: Request, bundle: Bundle, data_hash: str | None, report: Report, project: RecipeProject) -> None:
    """Log the report to MLflow; that it cannot be is said, and the output is there all the same."""
    from mlflow import MlflowException

    from thresher.tracking.predictions import log_prediction

    settings = resolve(project.loader["mlflow"], project.folder)
    options = {"id": request.id, "drop": list(request.drop), "where": list(request.where), "explain": request.explain}
    parameters = {**describe(request, bundle), "input_sha256": data_hash, **options}
    metrics = {
        "num_samples": report.num_samples,
        "num_predicted": report.num_predicted,
        "num_rejected": report.num_rejected,
        "num_left_out": report.num_left_out,
        **{f"drift.{name}": value for name, value in report.input_drift.items()},
        **({} if report.prediction_drift is None else {"prediction_drift": report.prediction_drift}),
        **report.metrics,
    }
    try:
        log_prediction(settings, request.recipe, parameters, report.model_dump(mode="json"), metrics)
    except MlflowException as error:
        reason = str(error).splitlines()[0][:160]
        click.secho(f"MLflow did not take the report ({reason}); it stands beside the output.", fg="yellow", err=True)


def print_report(report: Report, parts: Parts, console: Console) -> None:
    """Print what came of new data."""
    console.print(
        f"{report.num_samples:,} samples: {report.num_predicted:,} answered, {report.num_rejected:,} rejected"
        + (f", {report.num_left_out:,} left out by --where" if report.num_left_out else "")
    )
    for reason, times in report.reasons.items():
        console.print(f"  {times:,}x {reason}", markup=False)
    if report.labels:
        told = ", ".join(f"{label} {times:,}" for label, times in list(report.labels.items())[:MOST_TOLD])
        console.print(f"Labels: {told}", markup=False)
    _print_drift(report, console)
    if report.metrics:
        measured = f"of {report.num_measured:,} of {report.num_labelled:,} labelled samples"
        told = ", ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
        console.print(f"Metrics ({measured}): {told}", markup=False)
    for name, why in report.undefined_metrics.items():
        console.print(f"{name} has no value of these samples: {why}", markup=False)
    if report.num_unknown_labels:
        console.print(f"{report.num_unknown_labels:,} labels are of no class that the model knows.")
    console.print(f"Written: {parts.output}, {parts.report_file.name}", markup=False, soft_wrap=True)
    if report.num_rejected:
        console.print(f"Reasons of each that was rejected: {parts.rejected_file}", markup=False, soft_wrap=True)


def _print_drift(report: Report, console: Console) -> None:
    if not report.input_drift and report.prediction_drift is None:
        console.print(
            "Drift: not computed (fewer than 200 samples, or the champion has no profile of its training data)"
        )
        return
    shown = list(report.input_drift.items())[:MOST_TOLD]
    told = ", ".join(f"{name} {index:.3f}{' LARGE' if index > LARGE else ''}" for name, index in shown)
    console.print(f"Drift against training (PSI): {told}", markup=False)
    if report.prediction_drift is not None:
        mark = " LARGE" if report.prediction_drift > LARGE else ""
        console.print(f"Drift of the predictions (PSI): {report.prediction_drift:.3f}{mark}")
