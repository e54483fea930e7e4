"""Files in the data folder: whose they are, what of them a champion descends from, and what freeing them leaves."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.io import DataCatalog

from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import CatalogContents
from thresher.caching.records import Dependencies, Record, Records
from thresher.retention.artifacts import Item
from thresher.retention.data_folder import DataFolder
from thresher.retention.mlflow_lineage import Tracked
from thresher.retention.outputs import find_outputs

NO_DEPENDENCIES = Dependencies(code={}, parameters={}, versions={}, machine={}, raw={})
MADE = "2026-11-01T12:00:00+00:00"
TEXT = "thresher.datasets.reports.TextDataset"
LOCAL = "thresher.datasets.local"
CATALOG: dict[str, dict[str, Any]] = {
    "{recipe}.samples": {"type": TEXT, "filepath": "data/05_model_input/{recipe}/samples"},
    "{recipe}.rest": {"type": TEXT, "filepath": "data/05_model_input/{recipe}/rest"},
    "{recipe}.{candidate}.network": {
        "type": f"{LOCAL}.FolderDataset",
        "filepath": "data/06_models/{recipe}/{candidate}/network",
    },
    "{recipe}.{candidate}.onnx": {
        "type": f"{LOCAL}.OnnxDataset",
        "filepath": "data/06_models/{recipe}/{candidate}/model.onnx",
    },
    "{recipe}.plot": {"type": TEXT, "filepath": "data/08_reporting/{recipe}/plot.png"},
    "{recipe}.elsewhere": {"type": TEXT, "filepath": "other/{recipe}/elsewhere"},
    "{recipe}.champion": {"type": TEXT, "filepath": "champion.txt"},
    "{recipe}.history": {
        "type": "kedro_datasets.json.JSONDataset",
        "filepath": "data/08_reporting/{recipe}/history.json",
        "versioned": True,
    },
}
CHAMPION: Any = SimpleNamespace(
    version="1", run_id="first", source="models:/m-1", creation_timestamp=500_000, tags={"candidate": "half"}
)


@dataclass
class Leavings:
    """A project in which nodes of the recipe `small` have run, and its MLflow as far as outputs need it."""

    folder: Path
    entries: dict[str, Any] = field(default_factory=lambda: dict(CATALOG))
    runs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for stage in ("01_raw", "02_intermediate", "05_model_input", "06_models", "08_reporting"):
            (self.folder / "data" / stage).mkdir(parents=True)
        self.add_run("first", 0, 1000)

    def add_run(self, run_id: str, began: int, ended: int) -> None:
        """Add a run that went on for that many seconds since 1970."""
        info = SimpleNamespace(start_time=began * 1000, end_time=ended * 1000)
        self.runs[run_id] = SimpleNamespace(info=info, data=SimpleNamespace(tags={}), outputs=None)

    @property
    def catalog(self) -> DataCatalog:
        return DataCatalog.from_config(self.entries)

    def run(self, node: str, inputs: list[str], run_id: str = "first", **outputs: Any) -> None:
        """Save each of ``outputs``, where __ stands for a dot, and record that ``node`` did so."""
        catalog = self.catalog
        named = {f"small.{name.replace('__', '.')}": value for name, value in outputs.items()}
        for name, value in named.items():
            catalog.save(name, value)
        contents = CatalogContents(catalog, FileHashes(self.folder / "unused.db"))
        record = Record(
            node=node,
            dependencies=NO_DEPENDENCIES,
            inputs={f"small.{name}": contents.of(f"small.{name}") for name in inputs},
            outputs={name: contents.of(name) for name in named},
            run_id=run_id,
            experiment_id="1",
            made_at=MADE,
            seconds=1.0,
            machine={},
        )
        Records(self.folder, "small").write(record)

    def write(self, path: str, content: str = "left", second: int = 5000) -> Path:
        """Write a file that no record knows, changed last in that second since 1970."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        os.utime(file, (second, second))
        return file

    def find(self, crowned: bool = False) -> dict[str, Item]:
        """Return the items by their names; with a champion that was registered in the run `first`."""
        tracked = Tracked("small", runs=self.runs)
        if crowned:
            tracked = Tracked("small", self.runs, versions={"1": CHAMPION}, aliases={"champion": "1"})
        items = find_outputs(DataFolder(self.folder, self.catalog, self.entries), tracked)
        assert len({item.name for item in items}) == len(items)
        return {item.name: item for item in items}

    def files(self) -> set[str]:
        data = self.folder / "data"
        return {str(file.relative_to(data)) for file in data.rglob("*") if file.is_file()}

    def records(self) -> set[str]:
        return set(Records(self.folder, "small").read_all())


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leavings:
    """A split, a network that was exported and crowned, a plot of it, and a candidate that had no part in it."""
    monkeypatch.chdir(tmp_path)
    left = Leavings(tmp_path)
    left.run("split", [], samples="12", rest="345")
    left.run("train", ["samples"], half__network={"weights": b"1234", "deep/shape": b"12"})
    left.run("export", ["half.network"], half__onnx=b"onnx")
    left.run("plot", ["half.onnx"], plot="12345678")
    left.run("old.export", ["half.network"], old__onnx=b"old onnx")
    left.run("crown", ["half.onnx"], champion="half, crowned")
    return left


def test_an_item_is_what_one_node_left(left: Leavings) -> None:
    items = left.find()
    assert {name: item.size for name, item in items.items()} == {
        "split": 5, "train": 6, "export": 4, "plot": 8, "old.export": 8,
    }  # fmt: skip
    assert {item.made for item in items.values()} == {datetime.fromisoformat(MADE)}
    assert {item.kept for item in items.values()} == {""}


def test_freeing_takes_the_outputs_their_record_and_the_folders_that_they_leave_empty(left: Leavings) -> None:
    items = left.find()
    for name in ("train", "plot", "old.export"):
        items[name].free()
    assert left.records() == {"split", "export", "crown"}
    assert left.files() == {
        "05_model_input/small/samples",
        "05_model_input/small/rest",
        "06_models/small/half/model.onnx",
    }
    data = left.folder / "data"
    assert not (data / "08_reporting" / "small").exists()
    assert not (data / "06_models" / "small" / "old").exists()
    assert (data / "08_reporting").is_dir()


def test_the_record_goes_first(left: Leavings, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("thresher.retention.outputs.delete", crash)
    with pytest.raises(OSError, match="the disk is gone"):
        left.find()["train"].free()
    assert "train" not in left.records()
    assert "06_models/small/half/network/weights" in left.files()


def test_what_the_champion_descends_from_is_kept(left: Leavings) -> None:
    kept = {name: item.kept for name, item in left.find(crowned=True).items() if item.kept}
    assert kept == dict.fromkeys(("split", "train", "export"), "the champion, version 1, descends from it")


def test_what_was_changed_since_is_not_what_the_champion_descends_from(left: Leavings) -> None:
    left.write("data/06_models/small/half/network/weights", "9999")
    assert {name for name, item in left.find(crowned=True).items() if item.kept} == {"split", "export"}


def test_the_champions_own_file_is_kept_where_the_record_of_its_crowning_is_gone(
    left: Leavings, monkeypatch: pytest.MonkeyPatch
) -> None:
    left.add_run("third", 2000, 3000)
    for node, outputs in (("export", {"half__onnx": b"onnx"}), ("old.export", {"old__onnx": b"old onnx"})):
        left.run(node, ["half.network"], "third", **outputs)
    for node in ("crown", "plot"):
        (left.folder / ".thresher" / "records" / "small" / f"{node}.json").unlink()
    loaded = {"small.champion": SimpleNamespace(onnx_bytes=b"onnx"), "small.half.onnx": b"onnx"}
    monkeypatch.setattr(DataCatalog, "load", lambda _, name: loaded[name])
    assert left.find(crowned=True)["export"].kept
    assert not left.find(crowned=True)["old.export"].kept
    loaded["small.champion"] = SimpleNamespace(onnx_bytes=b"another")
    assert not left.find(crowned=True)["export"].kept


def test_outputs_of_a_run_that_this_mlflow_does_not_know_are_kept(left: Leavings) -> None:
    left.run("plot", ["half.onnx"], "0123456789abcdef", plot="of production")
    kept = {name: item.kept for name, item in left.find().items() if item.kept}
    assert list(kept) == ["plot"]
    assert kept["plot"] == "this MLflow knows no run 01234567, which made it: it may be of another --env"


def test_files_that_no_record_knows_are_items_of_their_own(left: Leavings) -> None:
    left.write("data/06_models/small/gone/network/weights", "123", 5000)
    left.write("data/06_models/small/half/network/.weights.7.part")
    left.write("data/08_reporting/README.md")
    left.write("data/08_reporting/other/plot.png")
    left.write("data/01_raw/small/images")
    items = left.find()
    leftovers = [item for name, item in items.items() if "/" in name]
    # What lies in the folder of a recorded output goes with that.
    assert [item.name for item in leftovers] == ["06_models/small/gone/network/weights"]
    assert (leftovers[0].size, leftovers[0].made) == (3, datetime.fromtimestamp(5000, UTC))
    leftovers[0].free()
    assert not (left.folder / "data" / "06_models" / "small" / "gone").exists()
    assert "06_models/small/half/model.onnx" in left.files()


def test_without_records_what_was_made_while_the_champion_was_is_kept(left: Leavings) -> None:
    left.write("data/06_models/small/then", second=999)
    left.write("data/06_models/small/later", second=1001)
    items = left.find(crowned=True)
    assert items["06_models/small/then"].kept.startswith("made while a run went on that the champion, version 1,")
    assert items["06_models/small/later"].kept == ""
    assert left.find()["06_models/small/then"].kept == ""


def test_what_the_catalog_names_is_somebodys_raw_data_wherever_it_lies(left: Leavings) -> None:
    left.write("data/02_intermediate/small/mine/images")
    left.write("data/02_intermediate/small/labels")
    left.write("data/02_intermediate/small/leftover")
    raw = {"type": "thresher.readers.IdxImages", "path": "data/02_intermediate/small/mine", "images": "i"}
    left.entries["mine.train"] = raw
    left.entries["mine.labels"] = {"type": TEXT, "filepath": "data/02_intermediate/small/labels"}
    left.entries["mine.plot"] = {"type": TEXT, "filepath": "data/08_reporting/small/plot.png"}
    found = left.find()
    assert [name for name in found if "/" in name] == ["02_intermediate/small/leftover"]
    assert "plot" not in found


def test_outputs_outside_of_the_data_folder_and_versioned_ones_are_left_alone(left: Leavings) -> None:
    left.run("far", [], elsewhere="far away")
    left.run("keeps", [], history={"epochs": 3})
    assert not {"far", "keeps"} & set(left.find())
    assert not [name for name in left.find() if "history" in name]


def test_recipes_are_known_by_what_they_left(left: Leavings) -> None:
    left.write("data/08_reporting/forgotten/plot.png")
    left.write("data/08_reporting/.cache/file")
    left.write("data/01_raw/raw_only/file")
    (left.folder / ".thresher" / "records" / "recorded").mkdir()
    folder = DataFolder(left.folder, left.catalog, left.entries)
    assert folder.recipes() == {"small", "forgotten", "recorded"}


def test_a_link_is_freed_and_not_what_it_leads_to(left: Leavings) -> None:
    raw = left.write("data/01_raw/images", "raw")
    (left.folder / "data" / "06_models" / "small" / "linked").symlink_to(raw.parent, target_is_directory=True)
    item = left.find()["06_models/small/linked"]
    item.free()
    assert raw.read_text() == "raw"
    assert not (left.folder / "data" / "06_models" / "small" / "linked").is_symlink()
