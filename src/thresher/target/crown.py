"""The winner on another machine as champion, with the setting that it won by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from thresher.config_loader import RecipeConfigLoader
from thresher.datasets.champion import ChampionDataset
from thresher.evaluation.promotion_gate import Challenge
from thresher.evaluation.runtime import CPU
from thresher.evaluation.verdict import Verdict
from thresher.packaging.build_context import check_packaging
from thresher.pipelines.package.nodes import crown_champion
from thresher.registry.project import RecipeProject
from thresher.registry.promotion import move_champion
from thresher.registry.versions import read_registered
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.session import open_session
from thresher.target.measured import Measured, variant_name
from thresher.target.run import LastRun
from thresher.tracking.history import PROMOTE
from thresher.tracking.run import describe_environment, end_run, start_run
from thresher.tracking.settings import resolve


def crown(
    folder: Path,
    loader: RecipeConfigLoader,
    run: LastRun,
    verdict: Verdict,
    measured: Measured,
    card: str,
    reason: str,
    with_bento: bool,
) -> None:
    """Register the winner of ``verdict`` with the setting that it won by, and make it the champion.

    Args:
        card: the model card by that verdict.
        reason: why, for the registry's history.

    Raises:
        RegistryError: the recipe is being run.
        TrackingError: the registry cannot be asked or changed.
        PackagingError, BundleError: the Bento cannot be built; what would fail is tried before the registry is changed.
    """
    project = RecipeProject(folder, loader.recipes, loader.broken, loader)
    with project.locked(run.name):
        bundle = _bundle(run, verdict, measured, card, reason)
        if with_bento:  # what would keep it from being built, before the registry is changed
            check_packaging(folder, run.name)
            open_session(bundle)
        described = {"recipe": run.name, "measured": measured.plan.id, **describe_environment(folder)}
        start_run(resolve(loader["mlflow"], folder), run.name, dict(measured.machine), described)
        status = "FAILED"
        try:
            ChampionDataset(run.name).save(bundle)
            status = "FINISHED"
        finally:
            end_run(status)
        registered = read_registered(run.name, project.names)
        # It is the champion already: this builds its Bento alone.
        moved = move_champion(project, registered, registered.champion, PROMOTE, reason, with_bento)
    how = f", computed by {bundle.info.execution}" if bundle.info.execution else ""
    click.echo(f"Version {moved.version} is champion of {run.name}{how}." + f" Its Bento: {moved.bento}" * with_bento)


def _bundle(run: LastRun, verdict: Verdict, measured: Measured, card: str, reason: str) -> Bundle:
    recipe, plan, files = run.recipe, measured.plan, run.files()
    variants = {variant_name(name, one): (name, one.name) for one in plan.settings for name in plan.candidates}
    test: Any = run.load_raw(recipe.data.test) if recipe.serving.example == "real" else None
    bundle = crown_champion(
        verdict,
        Challenge(replaces=True, reason=reason),
        None,
        run.load("encoder"),
        run.load("fingerprint"),
        recipe.evaluation.model_copy(update={"threads": plan.threads}),
        recipe.serving,
        run.load("training_samples"),
        test,
        card,
        *(files[variants[judged.candidate][0]] for judged in verdict.candidates),
    )
    candidate, setting = variants[str(verdict.winner)]
    info = {"candidate": candidate, "execution": None if setting == CPU else setting}
    return replace(bundle, info=bundle.info.model_copy(update=info))
