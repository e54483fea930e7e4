"""What a person can write wrongly into conf/ and into --params: each is a sentence with its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thresher.config_loader import RecipeConfigLoader
from thresher.errors import ThresherError
from thresher.recipe import Recipe

RECIPE = """\
task: classification
data: {modality: image, train: digits.train, test: digits.test}
model: {kind: lenet}
training: {epochs: 3}
candidates:
  int8:
    - {kind: quantize_static, calibration_samples: 32}
  small:
    - {kind: prune_channels, ratio: 0.5}
    - {kind: finetune, epochs: 1}
"""
CATALOG = """\
digits.train: &digits
  type: thresher.readers.BundledDigits
  split: train
digits.test:
  <<: *digits
  split: test
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("conf/base", "conf/local", "conf/gpu", "pipelines"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pipelines/one.yml").write_text(RECIPE)
    (tmp_path / "conf/base/catalog.yml").write_text(CATALOG)
    (tmp_path / "conf/base/parameters.yml").write_text("{}\n")
    (tmp_path / "conf/base/mlflow.yml").write_text("tracking_uri: sqlite:///mlflow.db\n")
    return tmp_path


def load(folder: Path, env: str | None = None, **params: Any) -> RecipeConfigLoader:
    patterns = {"mlflow": ["mlflow*"]}
    return RecipeConfigLoader(
        str(folder / "conf"), env, params, base_env="base", default_run_env="local", config_patterns=patterns
    )


def refused(folder: Path, key: str, **params: Any) -> str:
    with pytest.raises(ThresherError) as caught:
        load(folder, **params)[key]
    return str(caught.value)


def the_recipe(folder: Path, **params: Any) -> Recipe:
    loader = load(folder, **params)
    assert not loader.broken, loader.broken["one"]
    return loader.recipes["one"]


@pytest.mark.oddity("Recipes and catalog", "conf/ with tabs, open quotes, keys twice", "said with file and line")
@pytest.mark.parametrize("key", ["catalog", "mlflow", "parameters"])
@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a:\n\tb: 1\n", 2, "Indent by blanks, not by tabs"),
        ("a: 'x\n", 2, "Check the indentation and quotes"),
        (
            "a: &one {b: 1}\nc: {<<: *oen}\n",
            2,
            "*oen is not defined by an anchor &oen above it\n    Did you mean 'one'?",
        ),
        ("a: {b: 1}\nd: 1\na: {b: 2}\n", 3, "the key 'a' appears twice (first in line 1)"),
        ("a: {b: 1,\n  b: 2}\n", 2, "the key 'b' appears twice"),
    ],
)
def test_a_file_that_is_no_yaml_names_its_line(folder: Path, key: str, text: str, line: int, says: str) -> None:
    (folder / f"conf/base/{key}.yml").write_text(text)
    told = refused(folder, key)
    assert f"conf/base/{key}.yml:{line}: " in told
    assert says in told


def test_a_key_that_stands_twice_is_told_once(folder: Path) -> None:
    (folder / "conf/base/catalog.yml").write_text("a: &a\n  b: 1\n  b: 2\nc: {<<: *a}\n")
    assert refused(folder, "catalog").count("the key 'b' appears twice") == 1
    (folder / "conf/base/catalog.yml").write_text("a: {b: 1, c: 2}\na: {b: 1, c: 2}\n")
    assert refused(folder, "catalog").count("appears twice") == 1


@pytest.mark.parametrize("key", ["catalog", "mlflow", "parameters"])
def test_a_list_or_bytes_are_no_conf(folder: Path, key: str) -> None:
    (folder / f"conf/local/{key}.yml").write_text("- a\n- b\n")
    assert f"conf/local/{key}.yml: holds a list where a mapping of names is expected" in refused(folder, key)
    (folder / f"conf/local/{key}.yml").write_bytes(b"a: \xff\xfe\n")
    assert f"conf/local/{key}.yml: cannot be read" in refused(folder, key)


def test_an_empty_file_is_an_empty_mapping(folder: Path) -> None:
    for key in ("catalog", "parameters", "mlflow"):
        (folder / f"conf/base/{key}.yml").write_text("# nothing yet\n")
    loader = load(folder)
    own = [name for name in loader["catalog"] if not name.startswith("{")]
    assert (own, loader["mlflow"], list(loader.recipes)) == (["bentofile_path"], {}, ["one"])


def test_a_missing_catalog_says_where_it_belongs(folder: Path) -> None:
    (folder / "conf/base/catalog.yml").unlink()
    assert "Fix: write in conf/base/catalog.yml what data there is" in refused(folder, "catalog")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("broken: [1, 2]\n", "is a list, where a mapping with a 'type' is expected"),
        ("broken: text\n", "is a text"),
        ("broken:\n", "is empty"),
        ("broken: {path: x}\n", "has no 'type'"),
        ("broken: {type: [a]}\n", "has no 'type'"),
        ("broken: {type: x, path: '${nowhere}'}\n", "cannot be resolved"),
    ],
)
def test_a_broken_entry_harms_no_other(folder: Path, entry: str, reason: str) -> None:
    (folder / "conf/base/catalog.yml").write_text(CATALOG + entry)
    loader = load(folder)
    assert {"digits.test", "digits.train"} <= set(loader["catalog"]) and "broken" not in loader["catalog"]
    assert reason in loader.unresolved["broken"]


def test_what_runs_make_is_in_every_catalog_and_a_project_s_own_entry_replaces_one(folder: Path) -> None:
    own = {"type": "thresher.datasets.reports.TextDataset", "filepath": "elsewhere/{recipe}.json"}
    assert load(folder)["catalog"]["{recipe}.verdict"]["document"] == "verdict"
    with (folder / "conf/base/catalog.yml").open("a") as file:
        file.write(f'"{{recipe}}.verdict": {own}\n')
    catalog = load(folder)["catalog"]
    assert catalog["{recipe}.verdict"] == own  # as a whole
    assert catalog["{recipe}.report"]["filepath"] == "data/08_reporting/{recipe}/report.html"


def test_places_follow_merged_keys_and_environments(folder: Path) -> None:
    (folder / "conf/gpu/catalog.yml").write_text("digits.test:\n  type: x\n")
    files = load(folder, "gpu").files("catalog")
    assert files.where(("digits.test", "split")) == "conf/gpu/catalog.yml:1 digits.test.split"
    files = load(folder).files("catalog")
    assert files.where(("digits.test", "type")) == "conf/base/catalog.yml:2 digits.test.type"
    assert files.where(("digits.test", "split")) == "conf/base/catalog.yml:6 digits.test.split"


FEW = {"calibration_samples": 64}


@pytest.mark.parametrize("place", [{"int8": {"0": FEW}}, {"int8[0]": FEW}, {"int8": {"steps": {"0": FEW}}}])
def test_params_reach_into_lists(folder: Path, place: dict[str, Any]) -> None:
    step = the_recipe(folder, one={"candidates": place}).candidates["int8"].steps[0]
    assert step.model_dump()["calibration_samples"] == 64
    # What was not said stays.
    second = the_recipe(folder, one={"candidates": {"small[1]": {"epochs": 2}}}).candidates["small"]
    assert [step.kind for step in second.steps] == ["prune_channels", "finetune"]
    assert second.steps[1].model_dump()["epochs"] == 2


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"one": {"candidates": {"small": {"2": {"epochs": 1}}}}},
         "--params one.candidates.small.2: the list has no item 2\n    Its items are 0 to 1."),
        ({"one": {"candidates": {"small[1]": {"epoch": 1}}}},
         "--params one.candidates.small.steps.1.epoch: unknown key 'epoch'\n    Did you mean 'epochs'?"),
        ({"one": {"trainig": {"epochs": 1}}}, "--params one.trainig: unknown key 'trainig'\n    Did you mean"),
        ({"one": {"training": {"epochs": "many"}}}, "--params one.training.epochs: 'many' given"),
        ({"one": 5}, "--params one: 5 given, where a mapping of what to change is expected"),
    ],
)  # fmt: skip
def test_params_that_fit_nothing_are_refused_where_they_stand(folder: Path, params: dict[str, Any], says: str) -> None:
    assert says in str(load(folder, **params).broken["one"])


def test_overlays_of_conf_are_refused_where_they_stand(folder: Path) -> None:
    parameters = folder / "conf/local/parameters.yml"
    parameters.write_text("one:\n  training:\n    epochs: many\n")
    assert "conf/local/parameters.yml:3 one.training.epochs: 'many' given" in str(load(folder).broken["one"])
    parameters.write_text("every_recipe:\n  trainig: {}\n")
    assert "conf/local/parameters.yml:2 every_recipe.trainig: unknown key" in str(load(folder).broken["one"])
    parameters.write_text("oen: {}\n")
    assert "conf/local/parameters.yml:1 oen: there is no recipe 'oen'" in refused(folder, "parameters")
    parameters.write_text("every_recipe: 3\n")
    assert "conf/local/parameters.yml:1 every_recipe: 3 given" in refused(folder, "parameters")
    parameters.write_text("run: 3\n")
    with pytest.raises(ThresherError, match=r"conf/local/parameters.yml:1 run: "):
        print(load(folder).run_options)
