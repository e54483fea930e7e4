"""`thresher clean` in a project with a champion: what goes, what stays, what the next run makes of it; one story."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from kedro_project import EXECUTABLES, SMALL, TINY, Done, NewProject, Project

from thresher.datasets.champion import ChampionDataset
from thresher.serving.core.bundle import Bundle

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

HALF = {"half": TINY["candidates"]["half"]}
# A network that hardly learned anything loses.
WITH_INT8: dict[str, Any] = {**TINY, "selection": SMALL["selection"]}
WITHOUT_INT8: dict[str, Any] = {**WITH_INT8, "candidates": HALF, "serving": {"max_batch_size": 8}}
UNTRAINED = "small.training.epochs=1,small.training.optimizer.lr=0.0000001"
WORSE = ("--params", f"{UNTRAINED},small.selection.allow_no_better_than_baseline=true")
PLOTS = ["draw_verdict"]  # the reports are written with the model card, which the champion keeps
ALL = ("--keep-at-most", "0MB")


def clean(project: Project, *arguments: str) -> Done:
    return project.command("thresher", "clean", *arguments)


def state(project: Project) -> dict[str, tuple[int, int]]:
    """Return size and time of every file of the project, but for what was remembered of MLflow's store."""
    files = (path for path in project.folder.rglob("*") if path.is_file() and ".home/.c" not in str(path))
    files = (path for path in files if path.name != "store.json")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def data_files(project: Project, *parts: str) -> list[Path]:
    """Return the files below data/ in whose path one of ``parts`` is a folder."""
    files = (path for path in (project.folder / "data").rglob("*") if path.is_file())
    return [path for path in files if not {*parts}.isdisjoint(path.parts)]


def load_champion(project: Project) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", project.tracking_uri)
        champion = ChampionDataset("small").load()
    assert champion is not None
    return champion


def bento_tags(project: Project) -> set[str]:
    return {f"small:{folder.name}" for folder in project.bentos("small")}


def model_versions(project: Project) -> set[str]:
    """Return the champion's versions that BentoML's store has models of."""
    described = (project.bentoml_home / "models" / "thresher-small").glob("*/model.yaml")
    return {yaml.safe_load(file.read_text())["labels"]["model_version"] for file in described}


@dataclass(frozen=True)
class Cleaned:
    """A clean, with what was there before."""

    done: Done
    champion: Bundle
    bento: str
    runs: Mapping[str, str]
    """What each MLflow run was, by its id."""


def clean_and_compare(project: Project, *arguments: str) -> Cleaned:
    champion = load_champion(project)
    bento = (project.folder / "data" / "08_reporting" / "small" / "bento.txt").read_text()
    runs = {run.info.run_id: run.data.tags["kedro_command"] for run in project.mlflow_runs("small")}
    return Cleaned(clean(project, *arguments), champion, bento, runs)


@pytest.fixture(scope="module")
def project(new_project: NewProject) -> Project:
    project = new_project("clean")
    shutil.rmtree(project.folder / ".thresher", ignore_errors=True)
    project.write_recipe("small", WITH_INT8)
    return project


@pytest.fixture(scope="module")
def nothing_there(project: Project) -> Done:
    return clean(project).succeeded()


def test_where_nothing_was_run_there_is_nothing_to_free(project: Project, nothing_there: Done) -> None:
    assert nothing_there.text == "Runs have left nothing here: there is nothing to free.\n"
    assert not (project.folder / "mlflow.db").exists()
    assert not (project.folder / ".thresher").exists()
    assert not project.bentoml_home.exists()


@pytest.fixture(scope="module")
def two_runs(project: Project, nothing_there: Done) -> None:
    """The second run has a candidate less; its winner, which it took from the first, is served otherwise: the next
    version."""
    project.run().succeeded()
    project.write_recipe("small", WITHOUT_INT8)
    done = project.run().succeeded()
    assert "train_float" not in done.nodes
    assert project.champion_version("small") == "2"


@pytest.fixture(scope="module")
def overview(project: Project, two_runs: None) -> tuple[Done, bool]:
    before = state(project)
    done = clean(project).succeeded()
    return done, state(project) == before


def test_the_overview_changes_nothing(overview: tuple[Done, bool]) -> None:
    assert overview[1]


def test_the_overview_says_what_there_is_and_why_it_stays(project: Project, overview: tuple[Done, bool]) -> None:
    text = overview[0].text
    (free,) = re.findall(r"small +outputs of (int8.*|draw_verdict.*|float.measure_sensitivity.*)", text)
    assert free.rstrip().endswith("-")
    assert text.count("the champion, version 2, descends from it") == 3  # outputs and two runs
    assert text.count("it serves the champion, version 2") == 1
    for run in project.mlflow_runs("small"):
        assert f"MLflow run {run.info.run_id[:8]} (half wins" in text
    for tag in bento_tags(project):
        assert f"Bento {tag} with" in text
    assert "thresher clean --older-than 30d" in text


@pytest.fixture(scope="module")
def not_freed(project: Project, overview: tuple[Done, bool]) -> dict[str, Done]:
    """Cleans that free nothing, each for its own reason, and nothing else happens."""
    before = state(project)
    with FileLock(project.folder / ".thresher" / "locks" / "small.lock"):
        done = {"running": clean(project, "small", *ALL, "--yes")}
    done["young"] = clean(project, "--older-than", "1h", "--yes")
    done["nobody"] = clean(project, "--older-than", "0h")
    done["declined"] = answer(project, "n", *ALL)
    after = state(project)
    for path in [path for path in after if ".thresher/locks/" in path]:  # clean holds up runs, too
        after.pop(path)
        before.pop(path, None)
    assert after == before
    return done


def answer(project: Project, word: str, *arguments: str) -> Done:
    """Run `thresher clean` in a terminal and answer its question."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{word}\n".encode())
    command = [str(EXECUTABLES / "thresher"), "clean", *arguments]
    options: dict[str, Any] = {"cwd": project.folder, "env": project.variables, "capture_output": True, "text": True}
    done = subprocess.run(command, stdin=theirs, check=False, **options)
    os.close(ours)
    os.close(theirs)
    return Done(done.returncode, done.stdout + done.stderr)


def test_a_recipe_that_is_being_run_is_left_alone(not_freed: dict[str, Done]) -> None:
    assert "Nothing is to be freed" in not_freed["running"].succeeded().text
    assert "the recipe is being run" in not_freed["running"].text


def test_what_is_younger_stays(not_freed: dict[str, Done]) -> None:
    assert "Nothing is to be freed" in not_freed["young"].succeeded().text


def test_without_a_terminal_and_without_yes_nothing_is_freed(not_freed: dict[str, Done]) -> None:
    text = not_freed["nobody"].failed(1).text
    assert "To be freed:" in text
    assert "there is no terminal to ask for confirmation. Fix: add --yes" in text


def test_it_shows_what_it_would_free_and_asks(not_freed: dict[str, Done]) -> None:
    text = not_freed["declined"].succeeded().text
    said = [text.index(words) for words in ("To be freed:", "Only another run can make", "Nothing was freed.")]
    assert said == sorted(said)


@pytest.fixture(scope="module")
def first(project: Project, not_freed: dict[str, Done]) -> Cleaned:
    """All is freed that may be."""
    cleaned = clean_and_compare(project, *ALL, "--yes")
    cleaned.done.succeeded()
    return cleaned


def test_the_candidate_that_the_champion_had_nothing_to_do_with_is_gone(project: Project, first: Cleaned) -> None:
    assert data_files(project, "int8") == []
    assert not project.record("int8.quantize_onnx").exists()
    assert not (project.folder / "data" / "08_reporting" / "small" / "verdict.png").exists()


def test_the_bento_of_the_former_champion_is_gone_with_its_model(project: Project, first: Cleaned) -> None:
    assert bento_tags(project) == {first.bento}
    assert model_versions(project) == {"2"}


def test_a_bound_that_cannot_be_reached_is_said(first: Cleaned) -> None:
    assert "stay, more than 0 bytes: what is left is never freed" in first.done.text


def test_the_champion_is_what_it_was(project: Project, first: Cleaned) -> None:
    assert load_champion(project) == first.champion
    assert {run.info.run_id for run in project.mlflow_runs("small")} == set(first.runs)


@pytest.fixture(scope="module")
def again(project: Project, first: Cleaned) -> Done:
    return project.run().succeeded()


def test_the_next_run_makes_again_what_was_freed_and_takes_the_rest(project: Project, again: Done) -> None:
    again.ran(*PLOTS)
    assert (project.folder / "data" / "08_reporting" / "small" / "verdict.png").exists()
    assert project.champion_version("small") == "2"


@pytest.fixture(scope="module")
def lost(project: Project, again: Done) -> Done:
    """A run of another network, which loses: what lies in data/ is now its own."""
    done = project.run(*WORSE).succeeded()
    assert "The champion, version 2, stays" in done.text
    return done


@pytest.fixture(scope="module")
def second(project: Project, lost: Done) -> Cleaned:
    cleaned = clean_and_compare(project, "--older-than", "0h", "--yes")
    cleaned.done.succeeded()
    return cleaned


def test_what_lost_against_the_champion_is_gone(project: Project, second: Cleaned) -> None:
    assert data_files(project, "float", "half") == []
    lost = next(run for run, command in second.runs.items() if "--params" in command)
    assert lost not in {run.info.run_id for run in project.mlflow_runs("small")}
    assert not (project.folder / "mlartifacts" / lost).exists()
    folders = {folder.name for folder in (project.folder / "mlartifacts" / "models").iterdir()}
    runs = project.mlflow_runs("small")
    assert folders == {output.model_id for run in runs for output in run.outputs.model_outputs}


def test_the_champion_its_bento_and_what_it_descends_from_are_there(project: Project, second: Cleaned) -> None:
    assert load_champion(project) == second.champion
    assert project.champion_version("small") == "2"
    assert bento_tags(project) == {second.bento}
    assert model_versions(project) == {"2"}
    names = {path.name for path in data_files(project, "small")}
    assert names >= {"held_out.npy", "encoder.json", "fingerprint.json", "bento.txt"}
    # The first run made it, the second registered it.
    assert len([command for command in second.runs.values() if "--params" not in command]) == 3
    assert len(project.mlflow_runs("small")) == 2


def test_the_next_run_would_take_what_is_left(project: Project, second: Cleaned) -> None:
    taken = {"describe_samples", "fingerprint_data", "check_contract", "hold_out", "fit_encoder", "encode_samples"}
    assert project.plan().planned_nodes("reused") == taken


def test_a_recipe_that_is_not_there_is_said_in_words(project: Project, second: Cleaned) -> None:
    text = clean(project, "smal").failed().text
    assert "no file in pipelines/ and left nothing behind. Did you mean 'small'?" in text
