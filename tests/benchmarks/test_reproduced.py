"""What makes the tables of docs/results.md, from runs here or from those that another project has left."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.benchmark_scripts import import_scripts

from thresher.recipe.reading import read_recipe

NAME = "trec_minilm"
MACHINE = {"processor": "P", "cores": "2", "vnni": "yes", "system": "Linux 1", "python": "3.11.7"}


@pytest.fixture(scope="module")
def scripts(project: Path) -> dict[str, ModuleType]:
    return import_scripts(project, reproduce="reproduce", compressed="compressed", tracked="tracked")


def test_the_page_has_a_place_for_every_table(scripts: dict[str, ModuleType], project: Path) -> None:
    page = (project / "docs" / "results.md").read_text(encoding="utf-8")
    reproduce, compressed = scripts["reproduce"], scripts["compressed"]
    for place in (*reproduce.TABLES, *compressed.TABLES):
        begin, end = reproduce.marks(place)
        assert page.count(begin) == page.count(end) == 1, place
        assert page.index(begin) < page.index(end)


def test_a_page_without_a_place_stays_as_it_is(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n<!-- a: begin -->\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page\.md has no place for this table"):
        scripts["reproduce"].put_between("<!-- a: begin -->", "<!-- a: end -->", ["row"], page)
    assert page.read_text(encoding="utf-8") == "text\n<!-- a: begin -->\n"


def test_both_batches_must_be_as_fast(scripts: dict[str, ModuleType]) -> None:
    compressed = scripts["compressed"]
    want = next(each for each in compressed.WANTS if each.recipe == NAME)
    figures = compressed.Figures("c", 0.96, 0.0, 0.02, 1.0, 8.0, {}, {1: 3.1, 32: 3.1}, True)
    assert str(want) == "8x smaller and 3x as fast, drop at most 0.02"
    assert want.is_met(figures)
    slow = [replace(figures, faster_lower={1: 3.1, 32: 3.1} | {size: 3.0}) for size in (1, 32)]
    short = [replace(figures, smaller=7.9), replace(figures, drop_upper=0.021), *slow]
    assert not any(want.is_met(each) for each in short)


def test_the_newest_verdict_counts_wherever_it_is_from(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed = scripts["compressed"]
    here, entered, other = tmp_path / "here", tmp_path / "entered", tmp_path / "other"
    monkeypatch.setattr(compressed, "REPORTS", here)
    monkeypatch.setattr(compressed, "ENTERED", entered)
    write_verdict(here / NAME, "2026-11-02", "ours")
    write_verdict(other / NAME, "2026-11-03", "theirs")
    write_verdict(other / "sst2_minilm", "2026-11-01", "theirs")
    recipes = (NAME, "sst2_minilm", "adult_mlp")
    assert list(compressed.newest(recipes)) == [NAME]
    compressed.enter(other, recipes)
    assert {name: verdict["winner"] for name, verdict in compressed.newest(recipes).items()} == {
        NAME: "theirs",
        "sst2_minilm": "theirs",
    }
    write_verdict(here / NAME, "2026-11-04", "ours")
    verdicts = compressed.newest(recipes)
    assert verdicts[NAME]["winner"] == "ours"
    lines = list(compressed.rows(compressed.TABLES["compression of pretrained"], verdicts))
    assert f"| {NAME} | 8x smaller and 3x as fast, drop at most 0.02 | ours | reached |" in lines
    assert "| **ours** | 0.9500 | 0.0100 | 0.0150 | 10.0 | 9.0x | 3.50x | 3.50x |" in lines


def write_verdict(folder: Path, day: str, winner: str) -> None:
    def value(number: float) -> dict[str, float]:
        return {"value": number, "lower": 0.98 * number, "upper": 1.5 * number}

    def metrics(size: float, speed: float, drop: float) -> dict[str, Any]:
        speeds = {f"speedup_batch{batch}": value(speed) for batch in (1, 32)}
        quality = {"accuracy": value(0.96 - drop), "accuracy_drop": value(drop)}
        return {**quality, "size_bytes": value(size), **speeds}

    candidates = [
        {"candidate": "float", "metrics": metrics(90_000, 1.0, 0.0)},
        {"candidate": winner, "metrics": metrics(10_000, 3.5, 0.01)},
        {"candidate": "broken", "metrics": None},
    ]
    folder.mkdir(parents=True, exist_ok=True)
    verdict = {"winner": winner, "candidates": candidates, "machine": MACHINE, "measured": [day, day]}
    (folder / "verdict.json").write_text(json.dumps(verdict), encoding="utf-8")


def test_a_project_without_tracked_runs_is_said(scripts: dict[str, ModuleType], project: Path, tmp_path: Path) -> None:
    recipe = read_recipe(project / "pipelines" / f"{NAME}.yml")
    with pytest.raises(SystemExit, match=r"There is no .*mlflow\.db"):
        scripts["tracked"].read_trainings(tmp_path, NAME, recipe, "accuracy")


def test_only_whole_trainings_of_the_recipe_as_it_stands_count(
    scripts: dict[str, ModuleType], project: Path, tmp_path: Path, own_mlflow: None
) -> None:
    from mlflow import MlflowClient

    recipe = read_recipe(project / "pipelines" / f"{NAME}.yml")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment(NAME, str(tmp_path / "artifacts"))

    def track(start: int, seed: int, accuracy: float | None, epochs: list[int], name: str = NAME, **other: Any) -> str:
        tags = {"recipe": name, "version.torch": "2.13.0", **{f"machine.{key}": of for key, of in MACHINE.items()}}
        run_id: str = client.create_run(experiment, start, tags).info.run_id
        client.log_param(run_id, "training.seed", seed)
        given = json.loads(recipe.model_dump_json(by_alias=True))
        given["training"].update(seed=seed, **other)
        del given["training"]["best_by"]  # a setting with a default that came after the run
        client.log_dict(run_id, given, "recipe.json")
        for number, end in enumerate(epochs):
            client.log_metric(run_id, "float.epoch_loss", 0.5, timestamp=end, step=number)
        if accuracy is not None:
            client.log_metric(run_id, "float.accuracy", accuracy)
        return run_id

    track(1_000, 1, 0.91, [2_000, 3_000])
    newest = track(10_000, 1, 0.92, [20_000, 70_000])
    track(100_000, 1, 0.93, [20_000, 70_000])  # reused the training of the run before
    track(200_000, 1, 0.94, [190_000, 210_000])  # went on with what was broken off
    track(300_000, 1, 0.95, [310_000], batch_size=8)  # by other settings
    track(400_000, 2, None, [410_000])  # was never judged
    track(500_000, 2, 0.96, [510_000], name="sst2_minilm")
    found = scripts["tracked"].read_trainings(tmp_path, NAME, recipe, "accuracy")
    assert list(found) == [1]
    setting = "P, 2 cores, Linux 1; Python 3.11.7, torch 2.13.0."
    expected = {"value": 0.92, "seconds": 60.0, "at": "1970-01-01T00:01:10+00:00", "setting": setting, "run": newest}
    assert found[1] == expected


def test_each_setting_stands_once_below_the_table(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reproduce = scripts["reproduce"]
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    table = reproduce.TABLES["results of pretrained"]
    assert list(reproduce.rows(table)) == []
    for seed, value, setting in ((10, 0.95, "Intel."), (2, 0.97, "AMD."), (1, 0.961, "Intel.")):
        reproduce.keep(NAME, seed, {"value": value, "seconds": 60.0 * seed, "at": "-", "setting": setting})
    assert list(reproduce.rows(table))[2:] == [
        "| trec_minilm | accuracy | at least 0.96 | 0.9610 | 0.9610, 0.9700, 0.9500 | 10.0 | 45 | reached |"
    ]
    assert reproduce.settings(table) == ["Intel.", "AMD."]
