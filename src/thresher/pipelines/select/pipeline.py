"""evaluations, and predictions by slices -> verdict -> plot, model card and report."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from thresher.models import FLOAT
from thresher.pipelines.compress.pipeline import sensitivity_bases
from thresher.pipelines.select.nodes import (
    compare_baseline,
    compare_reference,
    compare_slices,
    compare_test_sets,
    draw_verdict,
    judge_candidates,
    write_reports,
)
from thresher.pipelines.stage import served_file, stage_node
from thresher.pipelines.train.pipeline import model_settings, training_settings
from thresher.recipe import Recipe
from thresher.training import balances

TAGS = ["select"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the selection stage of the recipe ``name``."""
    keys = (FLOAT, *recipe.candidates)
    verdict, selection = f"{name}.verdict", f"params:{name}.selection"
    judged = [
        f"params:{name}.name",
        selection,
        f"{name}.baseline",
        f"{name}.exported_quality",
        *(f"{name}.{key}.evaluation" for key in keys),
    ]
    predictions = _each(name, keys, "predictions")
    told = _told(name, recipe) | _each(name, keys, "evaluation", "predictions") | _chains(name, recipe)
    told |= {f"{key}.onnx": served_file(name, key, recipe.calibrate, recipe.decision) for key in keys}
    if recipe.calibrate:
        told |= _each(name, keys, "calibration")
    rules = _each(name, keys, "decision") if recipe.decision else {}
    predictions |= rules
    told |= rules
    splits = {kind: f"{name}.{kind}" for kind in ("training_samples", "test_samples")}
    inputs = {"require": f"{selection}.require", **splits, **predictions}
    compare = [stage_node(compare_baseline, inputs, f"{name}.baseline", TAGS)]
    if recipe.selection.slices is not None:
        samples = {"slices": f"{name}.slices", "test_samples": f"{name}.test_samples"}
        inputs = {"selection": selection, **samples, **predictions}
        compare.append(stage_node(compare_slices, inputs, f"{name}.slice_comparison", TAGS))
        judged.append(f"{name}.slice_comparison")
        told["slices"] = f"{name}.slice_comparison"
    if recipe.data.test_sets:
        compare.append(_compare_test_sets(name, recipe, predictions if recipe.data.tests else rules))
        judged.append(f"{name}.set_comparison")
        told["sets"] = f"{name}.set_comparison"
        told |= {f"{key}.examples": f"{name}.{key}.examples" for key in recipe.data.corruptions}
    if recipe.has_reference:
        models = [f"{name}.reference_onnx", f"{name}.{FLOAT}.predictions", f"{name}.test_samples", f"{name}.encoder"]
        settings = [f"params:{name}.evaluation.threads", f"{selection}.require"]
        compare.append(stage_node(compare_reference, [*models, *settings], f"{name}.reference", TAGS))
        judged.append(f"{name}.reference")
    if balances(recipe.training):
        told["training_samples"] = f"{name}.training_samples"
    told |= {"test_samples": f"{name}.test_samples"} | _searched(name, recipe)
    return Pipeline(
        [
            *compare,
            stage_node(judge_candidates, judged, verdict, TAGS),
            stage_node(draw_verdict, [verdict, selection], f"{name}.verdict_plot", TAGS),
            stage_node(write_reports, told, [f"{name}.model_card", f"{name}.report"], TAGS),
        ]
    )


def _compare_test_sets(name: str, recipe: Recipe, answers: dict[str, str]) -> Node:
    keys = (FLOAT, *recipe.candidates)
    samples = {f"{on}.set_samples": f"{name}.{on}.set_samples" for on in recipe.data.test_sets}
    answered = [f"{key}.{on}.set_predictions" for key in keys for on in recipe.data.test_sets]
    inputs = {
        "selection": f"params:{name}.selection",
        "sources": f"params:{name}.data",
        "test_samples": f"{name}.test_samples",
        **samples,
        **answers,
        **{each: f"{name}.{each}" for each in answered},
    }
    return stage_node(compare_test_sets, inputs, f"{name}.set_comparison", TAGS)


def _told(name: str, recipe: Recipe) -> dict[str, str]:
    """Return the datasets of the recipe as a whole, by the names of the nodes' parameters."""
    return {
        "verdict": f"{name}.verdict",
        "selection": f"params:{name}.selection",
        "fingerprint": f"{name}.fingerprint",
        "description": f"params:{name}.description",
        "model": model_settings(name, recipe),
        "training": training_settings(name, recipe),
        "asked": f"params:{name}.training",
        "evaluation": f"params:{name}.evaluation",
    }


def _each(name: str, keys: tuple[str, ...], *kinds: str) -> dict[str, str]:
    return {f"{key}.{kind}": f"{name}.{key}.{kind}" for key in keys for kind in kinds}


def _chains(name: str, recipe: Recipe) -> dict[str, str]:
    """Return where the steps of each candidate stand: in the recipe, or in what a search has found."""
    return {
        f"{key}.chain": f"{name}.{key}.found_candidate" if candidate.search else f"params:{name}.candidates.{key}"
        for key, candidate in recipe.candidates.items()
    }


def _searched(name: str, recipe: Recipe) -> dict[str, str]:
    searches = {
        f"{key}.search": f"{name}.{key}.budget_search"
        for key, candidate in recipe.candidates.items()
        if candidate.search
    }
    return searches | _each(name, tuple(sensitivity_bases(recipe)), "sensitivity")
