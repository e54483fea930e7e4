"""What could be edited and be left out all the same: each edit changes what a node depends on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DataCatalog

from thresher.caching.dependencies import find_dependencies, find_packed, find_pins
from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import CatalogContents
from thresher.caching.invalidation import changed_dependency
from thresher.caching.records import Dependencies
from thresher.code_fingerprint.graph import CodeGraph
from thresher.packaging import build_context

DATASET = """
from kedro.io import AbstractDataset
from thresher.files import read_bytes
from mine.scale import FACTOR
import pandas

class Mine(AbstractDataset):
    SHIFT = 1
    def __init__(self, path, shift=SHIFT):
        self._filepath, self.shift = path, shift
    def load(self):
        return read_bytes(self._filepath, "") * FACTOR
    def save(self, data): ...
    def _describe(self): return {}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "src" / "mine"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "ds.py").write_text(DATASET)
    (folder / "scale.py").write_text("from beside import ONE\nFACTOR = ONE + 1\n")
    (folder / "table.json").write_text("{}")
    (folder.parent / "beside.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "beside")]:
        del sys.modules[name]


@pytest.mark.oddity(
    "Runs", "an edited dataset class of the user's own, or a module that it imports", "all is read anew"
)
@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("ds.py", "* FACTOR", "* FACTOR * 2"),
        ("ds.py", "SHIFT = 1", "SHIFT = 2"),
        ("ds.py", "shift=SHIFT", "shift=3"),
        ("scale.py", "ONE + 1", "ONE + 2"),
        ("__init__.py", "", "import warnings\n"),
        ("table.json", "{}", '{"a": 1}'),
        ("../beside.py", "ONE = 1", "ONE = 2"),
    ],
)
def test_an_edit_of_the_users_own_code_counts(mine: Path, file: str, before: str, after: str) -> None:
    found = CodeGraph().reach(["mine.ds"])
    place = mine / file
    place.write_text(place.read_text().replace(before, after, 1) if before else after)
    assert CodeGraph().reach(["mine.ds"]).files != found.files
    assert "pandas" in found.packages and "thresher/files.py" in found.files


def test_the_users_own_modules_are_told_from_installed_ones(mine: Path) -> None:
    found = CodeGraph().reach(["mine.ds"])
    assert {place for place in found.files if not place.startswith("thresher/")} == {
        "mine/__init__.py", "mine/ds.py", "mine/scale.py", "mine/table.json", "beside.py",
    }  # fmt: skip
    assert {"kedro", "pandas"} <= found.packages and "json" not in found.packages


@pytest.fixture(scope="module")
def digits(project: Path) -> Callable[..., dict[str, Dependencies]]:
    """Return what finds the dependencies of a recipe, its values and catalog entries exchanged."""
    from kedro.config import OmegaConfigLoader

    from thresher.config_loader import RecipeConfigLoader
    from thresher.pipelines.build import build_pipeline
    from thresher.recipe import Recipe, dump
    from thresher.recipe.merging import merge

    loader = RecipeConfigLoader(str(project / "conf"), base_env="base", default_run_env="base")
    catalog = OmegaConfigLoader(str(project / "conf"), base_env="base", default_run_env="base")["catalog"]

    def find(changes: dict[str, Any], **entries: dict[str, Any]) -> dict[str, Dependencies]:
        recipe = Recipe.model_validate(merge(dump(loader.recipes["digits"]), changes))
        contents = CatalogContents(
            DataCatalog.from_config({**catalog, **entries}), FileHashes(Path("/nonexistent/hashes.db"))
        )
        values = dump(recipe)
        parameters = {
            **values,
            "name": "digits",
            "shadow": values["serving"].pop("shadow"),
            "candidates": {key: {**value, "name": key} for key, value in values["candidates"].items()},
        }
        return find_dependencies(
            "digits", build_pipeline("digits", recipe), {"digits": parameters}, contents, CodeGraph(), project
        )

    return find


def test_the_code_that_the_users_dataset_uses_counts_for_what_reads_it(
    mine: Path, digits: Callable[..., dict[str, Dependencies]], tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("1")
    entry = {"type": "mine.ds.Mine", "path": str(tmp_path / "data")}
    found = digits({}, **{"digits.train": entry})["fingerprint_data"]
    assert {"mine/ds.py", "mine/scale.py", "beside.py", "thresher/readers/base.py"} <= set(found.code)
    assert found.versions["pandas"] == version("pandas") and found.versions["pyarrow"] == version("pyarrow")
    changed = found.model_copy(update={"code": {**found.code, "mine/ds.py": "another"}})
    assert changed_dependency(found, changed) == "mine/ds.py changed"


@pytest.mark.oddity(
    "Runs", "an edited optimizer or schedule that a search's space names in a list", "it is trained anew"
)
def test_a_kind_in_a_list_of_a_searchs_space_counts(digits: Callable[..., dict[str, Dependencies]]) -> None:
    space = {
        "training.optimizer": ["sgd", {"kind": "adam", "lr": 0.001}],
        "training.schedule": ["one_cycle", "constant"],
    }
    named = {"thresher/training/optimizers.py", "thresher/training/schedules.py"}
    found = digits({"training": {"search": {"trials": 2, "space": space}}})
    for node in ("search_training", "train_float"):
        assert named <= set(found[node].code)


@pytest.mark.oddity("Runs", "another version of any package that the image pins", "the Bento is built anew")
def test_a_bento_depends_on_every_file_and_version_that_it_packs(
    digits: Callable[..., dict[str, Dependencies]], project: Path
) -> None:
    found = digits({})
    bento = found.pop("build_champion_bento")
    shown = {path.relative_to(project).as_posix() for path in (project / "src/thresher/serving/page/ui").iterdir()}
    assert len(shown) > 2 and shown <= set(bento.files)
    assert {"src/thresher/serving/service.py", "src/thresher/modalities/image/encoder.py"} <= set(bento.files)
    assert "src/thresher/packaging/bento.py" not in bento.files
    assert find_pins().items() <= bento.versions.items() and len(find_pins()) > 40
    for name in ("python-multipart", "uvicorn", "onnxruntime", "pillow"):
        assert bento.versions[name] == version(name)
    assert not any(dependencies.files for dependencies in found.values())
    place = sorted(shown)[0]
    changed = bento.model_copy(update={"files": {**bento.files, place: "another"}})
    assert changed_dependency(bento, changed) == f"{Path(place).name} changed"


SCRIPT = "docker:\n  setup_script: setup.sh\n"


@pytest.mark.oddity("Runs", "an edited page of the service", "the Bento is built anew")
def test_a_page_of_the_service_that_changed_is_another_bento(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(project / "src" / "thresher", tmp_path / "src" / "thresher")
    (tmp_path / "bentofile.yaml").write_text((project / "bentofile.yaml").read_text() + SCRIPT)
    (tmp_path / "setup.sh").write_text("true")
    monkeypatch.setattr(build_context.thresher, "__file__", str(tmp_path / "src" / "thresher" / "__init__.py"))
    before = find_packed(tmp_path, CodeGraph())
    page = next((tmp_path / "src" / "thresher" / "serving" / "page" / "ui").glob("*.js"))
    page.write_text(page.read_text() + "\n")
    with (tmp_path / "src" / "thresher" / "serving" / "http" / "response.py").open("a") as file:
        file.write("# a comment\n")
    (tmp_path / "setup.sh").write_text("false")
    after = find_packed(tmp_path, CodeGraph())
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {page.relative_to(tmp_path).as_posix(), "setup.sh"}


def test_what_the_exporter_brings_along_counts(digits: Callable[..., dict[str, Dependencies]]) -> None:
    versions = digits({})["float.export_network"].versions
    for name in ("torch", "onnx", "onnxscript", "onnx-ir"):
        assert versions[name] == version(name)
