"""`thresher measure` and `thresher judge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from thresher.caching.context import open_context
from thresher.compression.candidate import Candidate
from thresher.config_loader import RecipeConfigLoader
from thresher.errors import NoCandidateQualifiesError
from thresher.evaluation import Measurement
from thresher.evaluation.baseline import compare_with_baseline
from thresher.evaluation.decision import read_rule
from thresher.evaluation.judge import judge
from thresher.evaluation.set_comparison import SetComparison
from thresher.evaluation.slices import compare_slices
from thresher.evaluation.table import verdict_columns, verdict_rows
from thresher.evaluation.verdict import Verdict
from thresher.files import replacing_file
from thresher.models import FLOAT, ModelChoice
from thresher.pipelines.select.nodes import write_reports
from thresher.pipelines.train.pipeline import model_settings, training_settings
from thresher.registry.command import check_reason
from thresher.target.crown import crown
from thresher.target.folder import (
    ARCHIVES,
    Plan,
    TargetError,
    folder_name,
    hash_array,
    hash_bytes,
    keep_plan,
    padding_of,
    read_setting,
    write_target,
)
from thresher.target.measured import Home, Measured, evaluate_measured, read_measured, variant_name
from thresher.target.run import LastRun, open_run
from thresher.training import balances

FOLDER = "data/08_reporting/{recipe}/measured/{id}"


def measure(project: Path, name: str, target: Path, tries: Sequence[str], environment: str | None) -> Plan:
    """Write all candidates of the recipe's last run into a folder that times them elsewhere.

    Raises:
        TargetError: something is there already, a setting that is none, or the recipe was not run.
    """
    settings = [read_setting(text) for text in tries]
    labels = ["CPU", *(setting.label for setting in settings)]
    if twice := next((label for label in labels if labels.count(label) > 1), ""):
        raise TargetError(f"--try: two settings would be called '{twice}', one of them perhaps the default. Fix: one.")
    if target.exists():
        raise TargetError(f"{target} is there already. Fix: name a new folder or archive, or remove it.")
    if not target.parent.is_dir():
        raise TargetError(f"{target.parent}: no such folder. Fix: make it, or correct the path.")
    with open_context(project, environment) as context:
        run = open_run(context, name)
        model_input = run.load("encoder").model_input
        padding_of(model_input)
        models, answers = run.files(), run.each("predictions")
        inputs, measurement = run.load("test_samples").inputs, run.recipe.evaluation
        plan = write_target(target, name, models, answers, inputs, model_input, measurement, settings)
    keep_plan(project, plan)
    how = "unpack it there, and run" if target.name.endswith(ARCHIVES) else "run there"
    told = f"{target}: {len(models)} models, {len(inputs):,} samples. Copy it to the machine that will serve"
    click.echo(f"{told}; {how}: python {folder_name(target)}/measure.py measured.json")
    return plan


def judge_measured(
    project: Path, name: str, file: Path, environment: str | None, reason: str | None = None, with_bento: bool = True
) -> Verdict:
    """Judge the recipe's candidates by what another machine has measured, and write the verdict and the report.

    Args:
        reason: why the winner there is to be the champion; None leaves the registry as it is.

    Raises:
        TargetError: the file is foreign or altered, or the recipe's candidates are others by now.
        NoCandidateQualifiesError: none meets what the recipe requires there.
    """
    reason = reason if reason is None else check_reason(reason)
    with open_context(project, environment) as context:
        run = open_run(context, name)
        measured = read_measured(file, project, name)
        verdict, texts = _judge(run, measured)
        folder = project / FOLDER.format(recipe=name, id=measured.plan.id)
        for path, content in {"verdict.json": verdict.model_dump_json(indent=2), **texts}.items():
            with replacing_file(folder / path) as beside:
                beside.write_text(content, encoding="utf-8")
        _print(verdict, measured, folder)
        if verdict.winner is None:
            raise NoCandidateQualifiesError(f"Recipe {name}: no candidate meets selection.require on that machine.")
        if reason is not None:
            loader, card = context.config_loader, texts["model_card.md"]
            assert isinstance(loader, RecipeConfigLoader)
            crown(project, loader, run, verdict, measured, card, reason, with_bento)
    return verdict


def _judge(run: LastRun, measured: Measured) -> tuple[Verdict, dict[str, str]]:
    """Return the verdict, and model card and report by their file names."""
    recipe, plan, samples = run.recipe, measured.plan, run.load("test_samples")
    files = run.files()
    _require_same(files, samples.inputs, plan)
    measurement = recipe.evaluation.model_copy(update={"threads": plan.threads})
    rules = {name: read_rule(content) for name, content in files.items()}
    home = Home(run.each("evaluation"), samples, measurement, recipe.measured_metrics, rules)
    results, answers = evaluate_measured(measured, home)
    given = {
        name: rule
        for setting in plan.settings
        for candidate in plan.candidates
        if (rule := rules[candidate]) and (name := variant_name(candidate, setting)) in answers
    }
    baseline = compare_with_baseline(run.load("training_samples"), samples, answers, recipe.selection, given)
    slices = None
    if recipe.selection.slices is not None:
        parts = run.load("slices"), recipe.selection.slices
        slices = compare_slices(*parts, samples.labels, answers, FLOAT, samples.class_names, given)
    # Further test sets were not taken along: what the same files answer to them here.
    sets: SetComparison | None = run.load("set_comparison") if recipe.data.test_sets else None
    if sets is not None:
        sets = sets.called({name: name.partition("@")[0] for name in results})
    verdict = judge(run.name, results, recipe.selection, slices, baseline, sets)
    verdict = verdict.model_copy(update={"exported": run.load("exported_quality")})
    told = _of_variants(run, measured, {"evaluation": results, "predictions": answers, "onnx": files})
    if balances(recipe.training):
        told["training_samples"] = run.load("training_samples")
    if slices is not None:
        told["slices"] = slices
    if sets is not None:
        told["sets"] = sets
        told |= {f"{on}.examples": run.load(f"{on}.examples") for on in recipe.data.corruptions}
    found = {"model": model_settings(run.name, recipe), "training": training_settings(run.name, recipe)}
    own = {"model": ModelChoice.model_validate(recipe.model.model_dump(by_alias=True)), "training": recipe.training}
    settings: dict[str, Any] = {
        key: own[key] if place.startswith("params:") else run.load(place.partition(".")[2])
        for key, place in found.items()
    }
    card, page = write_reports(
        verdict,
        recipe.selection,
        run.load("fingerprint"),
        f"{recipe.description} (measured on {measured.machine.get('processor', 'another machine')})",
        settings["model"],
        settings["training"],
        recipe.training,
        _as_measured(measurement, plan),
        samples,
        **told,
    )
    return verdict, {"model_card.md": card, "report.html": page}


def _as_measured(measurement: Measurement, plan: Plan) -> Measurement:
    how = {"batch_sizes": plan.batch_sizes, "rounds": plan.rounds, "seconds": plan.seconds}
    return measurement.model_copy(update=how)


def _require_same(files: dict[str, bytes], inputs: np.ndarray, plan: Plan) -> None:
    """Raise a TargetError where the recipe was run anew since the folder was made, to something else."""
    again = f"Fix: thresher measure {plan.recipe} FOLDER, and measure again."
    for name in plan.candidates:
        if name not in files or hash_bytes(files[name]) != plan.files[f"models/{name}.onnx"]:
            raise TargetError(f"Candidate {name} is another one since the folder was made. {again}")
    if other := sorted(files.keys() - set(plan.candidates)):
        raise TargetError(f"Candidate {other[0]} was not measured: it is newer than the folder. {again}")
    if hash_array(inputs) != plan.inputs_sha256:
        raise TargetError(f"The test samples are others since the folder was made. {again}")


def _of_variants(run: LastRun, measured: Measured, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what reports are made of, by CANDIDATE.KIND; a candidate with a setting has the chain of the candidate."""
    told = {f"{name}.{kind}": one for kind in ("evaluation", "predictions") for name, one in results[kind].items()}
    for setting in measured.plan.settings:
        for candidate in measured.plan.candidates:
            name = variant_name(candidate, setting)
            told[f"{name}.onnx"] = results["onnx"][candidate]
            for kind in ("calibration",) * bool(run.recipe.calibrate) + ("decision",) * bool(run.recipe.decision):
                told[f"{name}.{kind}"] = run.load(f"{candidate}.{kind}")
            if candidate != FLOAT:
                chain: Candidate = run.recipe.candidates[candidate]
                chain = run.load(f"{candidate}.found_candidate") if chain.search else chain
                told[f"{name}.chain"] = chain.model_dump(by_alias=True) | {"name": name}
    return told


def _print(verdict: Verdict, measured: Measured, folder: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, machine = Console(highlight=False), measured.machine
    told = f"{machine.get('processor')}, {machine.get('cores')} cores, VNNI {machine.get('vnni')}"
    console.print(f"Measured on {told}, ONNX Runtime {measured.document['onnxruntime']}", markup=False)
    table = Table(*map(escape, verdict_columns(verdict)[:-1]), box=None)
    table.columns[0].overflow = "fold"  # cut short, two settings of a candidate would be called the same
    for row in verdict_rows(verdict):
        table.add_row(*map(escape, row[:-1]))
    console.print(table)
    for judged in verdict.candidates:
        console.print(f"{judged.candidate}: {judged.reason}", markup=False)
    for one in measured.document["results"]:
        if one.get("num_differing") or one.get("largest"):
            what = f"{one['num_differing']:,} answers differ from those here, at most by {one['largest']:.3g}"
            console.print(f"{one['candidate']}, {one['setting']}: {what}", markup=False)
    console.print(f"Winner there: {verdict.winner or 'nobody'}", markup=False)
    console.print(f"Written: {folder / 'report.html'}, verdict.json, model_card.md", markup=False, soft_wrap=True)
