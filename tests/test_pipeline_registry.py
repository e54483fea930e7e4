"""Recipes as Kedro's pipelines: the default, the broken and the unknown ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from thresher import config_loader
from thresher.config_loader import RecipeConfigLoader, use_loader
from thresher.errors import RecipeError, ThresherError
from thresher.pipeline_registry import register_pipelines

RECIPE: dict[str, Any] = {
    "task": "classification",
    "data": {"modality": "image", "train": "a.train", "test": "a.test"},
    "model": {"kind": "lenet"},
}


@pytest.fixture(autouse=True)
def no_run_goes_on() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_loader, "_active", None)
        yield


@pytest.fixture
def project_folder(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("src", "pipelines", "conf/base", "conf/local"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, **recipes: dict[str, Any]) -> None:
    for name, recipe in recipes.items():
        (project / "pipelines" / f"{name}.yml").write_text(yaml.safe_dump(recipe))


def test_one_pipeline_a_recipe_and_digits_by_default(project_folder: Path) -> None:
    write(project_folder, another=RECIPE, digits=RECIPE)
    pipelines = register_pipelines()
    assert set(pipelines) == {"__default__", "another", "digits"}
    assert pipelines["__default__"] is pipelines["digits"]
    assert {name.partition(".")[0] for name in pipelines["another"].all_outputs()} == {"another"}


def test_default_without_digits_is_the_first(project_folder: Path) -> None:
    write(project_folder, zebra=RECIPE, apple=RECIPE)
    pipelines = register_pipelines()
    assert pipelines["__default__"] is pipelines["apple"]


def test_broken_default_is_not_replaced_by_another(project_folder: Path) -> None:
    write(project_folder, apple=RECIPE, digits=RECIPE | {"task": "clasification"})
    pipelines = register_pipelines()
    with pytest.raises(RecipeError, match="Did you mean 'classification'"):
        _ = pipelines["__default__"]
    assert pipelines["apple"].nodes


def test_broken_recipe_stands_in_nobody_s_way(project_folder: Path) -> None:
    """Kedro's commands go over all pipelines: one broken recipe must not end them."""
    write(project_folder, apple=RECIPE, broken=RECIPE | {"model": {}})
    pipelines = register_pipelines()
    assert set(pipelines) == {"__default__", "apple"}
    assert all(pipeline.nodes for pipeline in pipelines.values())
    with pytest.raises(RecipeError, match="Recipe broken: 1 problem"):
        _ = pipelines["broken"]


def test_unknown_recipe_names_the_nearest(project_folder: Path) -> None:
    write(project_folder, apple=RECIPE, broken=RECIPE | {"model": {}})
    pipelines = register_pipelines()
    with pytest.raises(ThresherError) as caught:
        _ = pipelines["aple"]
    assert str(caught.value).startswith("There is no recipe 'aple' in pipelines/. Did you mean 'apple'?")
    assert "__default__" not in str(caught.value)
    assert isinstance(caught.value, KeyError)  # what Kedro expects of a mapping
    assert pipelines.get("aple") is None


def test_project_without_recipes_has_no_pipelines(project_folder: Path) -> None:
    assert dict(register_pipelines()) == {}


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ThresherError, match="not inside a Thresher project"):
        register_pipelines()


def test_loader_of_the_run_comes_before_the_project_s(project_folder: Path) -> None:
    """What an environment or --params adds to a recipe must be in the pipeline, too."""
    write(project_folder, digits=RECIPE)
    added = {"digits": {"candidates": {"int8": [{"kind": "quantize_static"}]}}}
    loader = RecipeConfigLoader(str(project_folder / "conf"), None, added, base_env="base", default_run_env="local")
    use_loader(loader)
    names = {node.name for node in register_pipelines()["digits"].nodes}
    assert "int8.quantize_onnx" in names
