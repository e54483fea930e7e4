"""The loader gives Kedro the recipes as parameters: files, then environments, then --params."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from thresher.config_loader import ConfigurationError, RecipeConfigLoader, make_loader
from thresher.errors import RecipeError

RECIPE: dict[str, Any] = {
    "task": "classification",
    "data": {"modality": "image", "train": "a.train", "test": "a.test"},
    "model": {"kind": "lenet"},
    "training": {"optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9}, "epochs": 4},
    "candidates": {"half": [{"kind": "prune_channels", "ratio": 0.5}], "int8": [{"kind": "quantize_static"}]},
}


@pytest.fixture
def project_folder(tmp_path: Path) -> Path:
    for folder in ("pipelines", "conf/base", "conf/local", "conf/quick"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path / "pipelines/good.yml", RECIPE)
    write(tmp_path / "pipelines/other.yml", RECIPE)
    return tmp_path


def write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content))


def load(project: Path, env: str | None = None, **parameters: Any) -> RecipeConfigLoader:
    return RecipeConfigLoader(
        str(project / "conf"), env, parameters, base_env="base", default_run_env="local", config_patterns={}
    )


def test_parameters_are_recipes_with_all_defaults_and_names(project_folder: Path) -> None:
    parameters = load(project_folder)["parameters"]
    assert set(parameters) == {"good", "other"}
    good = parameters["good"]
    assert good["name"] == "good"
    assert good["training"]["batch_size"] == 128
    assert good["data"]["validation"] == 0.1
    assert good["candidates"]["half"]["name"] == "half"
    assert good["candidates"]["half"]["from"] == "float"


def test_broken_recipe_is_kept_aside(project_folder: Path) -> None:
    write(project_folder / "pipelines/broken.yml", RECIPE | {"model": {"kind": "lenett"}})
    (project_folder / "pipelines/torn.yml").write_text("data: [1, 2")
    loader = load(project_folder)
    assert set(loader["parameters"]) == set(loader.recipes) == {"good", "other"}
    assert set(loader.broken) == {"broken", "torn"}
    assert "Did you mean 'lenet'?" in str(loader.broken["broken"])


def test_environment_and_parameters_come_on_top_of_each_other(project_folder: Path) -> None:
    write(project_folder / "conf/base/parameters.yml", {"good": {"training": {"epochs": 5, "seed": 7}}})
    quick = {"every_recipe": {"training": {"batch_size": 16}}, "good": {"training": {"epochs": 6}}}
    write(project_folder / "conf/quick/parameters.yml", quick)
    recipes = load(project_folder, "quick", good={"training": {"optimizer": {"lr": 0.5}}}).recipes
    training = recipes["good"].training
    assert (training.epochs, training.batch_size, training.optimizer.lr) == (6, 16, 0.5)
    assert training.optimizer.model_dump()["momentum"] == 0.9
    assert (recipes["other"].training.epochs, recipes["other"].training.batch_size) == (4, 16)
    assert load(project_folder).recipes["good"].training.epochs == 5


def test_one_recipe_s_overlay_comes_before_that_for_all(project_folder: Path) -> None:
    both = {"every_recipe": {"training": {"epochs": 9}}, "good": {"training": {"epochs": 2}}}
    write(project_folder / "conf/quick/parameters.yml", both)
    recipes = load(project_folder, "quick").recipes
    assert (recipes["good"].training.epochs, recipes["other"].training.epochs) == (2, 9)


def test_overlay_of_another_kind_replaces_the_old_one(project_folder: Path) -> None:
    recipe = load(project_folder, good={"training": {"optimizer": {"kind": "adam"}}}).recipes["good"]
    assert recipe.training.optimizer.model_dump()["lr"] == 0.001


def test_overlay_may_add_a_candidate(project_folder: Path) -> None:
    added = {"candidates": {"sparse": [{"kind": "prune_weights", "sparsity": 0.5}]}}
    assert list(load(project_folder, good=added)["parameters"]["good"]["candidates"]) == ["half", "int8", "sparse"]


def test_wrong_parameter_breaks_its_recipe_alone(project_folder: Path) -> None:
    loader = load(project_folder, good={"training": {"epoch": 3}})
    assert set(loader.recipes) == {"other"}
    assert "Did you mean 'epochs'?" in str(loader.broken["good"])


def test_overlay_of_an_unknown_recipe_is_refused(project_folder: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        _ = load(project_folder, godo={"training": {"epochs": 1}}, x=1).recipes
    assert "there is no recipe 'godo'" in str(caught.value)
    assert "there is no recipe 'x'" in str(caught.value)
    assert "Did you mean 'good'?" in str(caught.value)


def test_unknown_environment_is_refused(project_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--env quik: .* Did you mean 'quick'\? Allowed: base, local, quick"):
        load(project_folder, "quik")


def test_parameters_file_may_be_missing(project_folder: Path) -> None:
    loader = load(project_folder, good={"training": {"epochs": 1}})
    assert loader.recipes["good"].training.epochs == 1
    assert loader.recipes["other"].training.epochs == 4


def test_an_old_copy_of_an_internal_entry_is_told(project_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Projects of before have these in their own catalogs, where they win and name classes that moved."""
    catalog = project_folder / "conf" / "base" / "catalog.yml"
    entry = """\n"{recipe}.encoder": {type: thresher.pipelines.datasets.JsonDataset, filepath: data/encoder.json}\n"""
    catalog.write_text((catalog.read_text() if catalog.exists() else "") + entry)
    read = make_loader(project_folder)["catalog"]
    assert read["{recipe}.encoder"]["type"] == "thresher.pipelines.datasets.JsonDataset"
    (message,) = [record.getMessage() for record in caplog.records if "{recipe}.encoder" in record.getMessage()]
    assert "catalog.yml:" in message and "thresher.datasets.local.DocumentDataset. Fix: delete the entry" in message
