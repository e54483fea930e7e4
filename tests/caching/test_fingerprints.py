"""What a dataset holds, as text; and where it lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.io import AbstractDataset, DataCatalog, MemoryDataset, Version
from kedro_datasets.json import JSONDataset

from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import ABSENT, CatalogContents, fingerprint, place
from thresher.datasets.champion import ChampionDataset
from thresher.datasets.local import DocumentDataset, OnnxDataset
from thresher.datasets.networks import NetworkDataset
from thresher.datasets.reports import FigureDataset
from thresher.readers import BundledDigits, IdxImages, ImageFolder, LabeledLines

IDX = {"images": "images.gz", "labels": "labels.gz", "class_names": ["a", "b"]}


@pytest.fixture
def hashes(tmp_path: Path) -> FileHashes:
    return FileHashes(tmp_path / "hashes.db")


def write(folder: Path, **files: bytes) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / f"{name}.gz").write_bytes(data)
    return folder


def test_raw_data_is_its_bytes_and_arguments_wherever_it_lies(tmp_path: Path, hashes: FileHashes) -> None:
    for name in ("here", "there"):
        write(tmp_path / name, images=b"images", labels=b"labels")
    here = fingerprint(IdxImages(path=str(tmp_path / "here"), **IDX), hashes)
    assert here not in (None, ABSENT)
    same = {"fetch": "set", "metadata": {"kedro-viz": {"layer": "raw"}}}
    assert fingerprint(IdxImages(path=str(tmp_path / "there"), **IDX, **same), hashes) == here


@pytest.mark.parametrize("changed", [{"class_names": ["b", "a"]}, {"images": "labels.gz", "labels": "images.gz"}])
def test_other_arguments_make_other_raw_data(tmp_path: Path, hashes: FileHashes, changed: dict[str, Any]) -> None:
    folder = str(write(tmp_path / "raw", images=b"images", labels=b"labels"))
    before = fingerprint(IdxImages(path=folder, **IDX), hashes)
    assert fingerprint(IdxImages(path=folder, **IDX | changed), hashes) != before


@pytest.mark.parametrize("name", ["images", "labels"])
def test_other_bytes_make_other_raw_data(tmp_path: Path, hashes: FileHashes, name: str) -> None:
    dataset = IdxImages(path=str(write(tmp_path / "raw", images=b"1", labels=b"1")), **IDX)
    before = fingerprint(dataset, hashes)
    (tmp_path / "raw" / f"{name}.gz").write_bytes(b"2")
    assert fingerprint(dataset, hashes) not in (before, ABSENT)
    (tmp_path / "raw" / f"{name}.gz").unlink()
    assert fingerprint(dataset, hashes) == ABSENT


def test_a_folder_of_images_is_its_files_and_arguments(tmp_path: Path, hashes: FileHashes) -> None:
    folder = write(tmp_path / "raw")
    write(folder / "cat", one=b"1")
    found = {
        fingerprint(ImageFolder(path=str(folder), **arguments), hashes)
        for arguments in ({}, {"channels": 1}, {"size": [8, 8]}, {"split": "train", "test_share": 0.3},
                          {"split": "train", "test_share": 0.3, "seed": 1}, {"split": "test", "test_share": 0.3})
    }  # fmt: skip
    (folder / "cat" / "two.png").write_bytes(b"2")
    found.add(fingerprint(ImageFolder(path=str(folder)), hashes))
    assert len(found) == 7


def test_the_bundled_digits_differ_by_split(hashes: FileHashes) -> None:
    train, test = (fingerprint(BundledDigits(split=split), hashes) for split in ("train", "test"))
    assert train != test
    assert ABSENT not in (train, test) and None not in (train, test)


def test_what_is_made_is_its_bytes_wherever_it_lies(tmp_path: Path, hashes: FileHashes) -> None:
    one, two = (OnnxDataset(filepath=str(tmp_path / name)) for name in ("one.onnx", "two.onnx"))
    assert fingerprint(one, hashes) == ABSENT
    one.save(b"model")
    two.save(b"model")
    assert fingerprint(one, hashes) == fingerprint(two, hashes) != ABSENT
    two.save(b"other")
    assert fingerprint(one, hashes) != fingerprint(two, hashes)


def test_a_folder_of_files_is_known_too(tmp_path: Path, hashes: FileHashes) -> None:
    (tmp_path / "network").mkdir()
    dataset = NetworkDataset(filepath=str(tmp_path / "network"))
    before = fingerprint(dataset, hashes)
    (tmp_path / "network" / "weights").write_bytes(b"1")
    assert fingerprint(dataset, hashes) not in (before, ABSENT, None)


def test_how_a_file_is_written_counts(tmp_path: Path, hashes: FileHashes) -> None:
    (tmp_path / "plot.png").write_bytes(b"1")
    coarse, fine = (FigureDataset(filepath=str(tmp_path / "plot.png"), dpi=dpi) for dpi in (60, 120))
    assert fingerprint(coarse, hashes) != fingerprint(fine, hashes)


def test_kedro_s_own_datasets_on_this_machine_are_known(tmp_path: Path, hashes: FileHashes) -> None:
    dataset = JSONDataset(filepath=str(tmp_path / "a.json"), metadata={"x": 1})
    assert fingerprint(dataset, hashes) == ABSENT
    dataset.save({"a": 1})
    assert fingerprint(dataset, hashes) == fingerprint(JSONDataset(filepath=str(tmp_path / "a.json")), hashes) != ABSENT


def test_of_a_versioned_dataset_the_newest_counts(tmp_path: Path, hashes: FileHashes) -> None:
    def versioned() -> JSONDataset:
        return JSONDataset(filepath=str(tmp_path / "a.json"), version=Version(None, None))

    assert fingerprint(versioned(), hashes) == ABSENT
    versioned().save({"a": 1})
    one = fingerprint(versioned(), hashes)
    JSONDataset(filepath=str(tmp_path / "a.json"), version=Version(None, "9")).save({"a": 2})
    assert fingerprint(versioned(), hashes) not in (one, ABSENT, None)


class Table(AbstractDataset[Any, Any]):
    """A table in a database."""

    def __init__(self, table: str) -> None:
        self._table = table

    def load(self) -> None: ...

    def save(self, data: Any) -> None: ...

    def _describe(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("dataset", [MemoryDataset(1), Table("t"), JSONDataset(filepath="memory://bucket/a.json")])
def test_what_is_in_memory_a_database_or_elsewhere_cannot_be_known(
    dataset: AbstractDataset[Any, Any], hashes: FileHashes
) -> None:
    assert fingerprint(dataset, hashes) is None


class Told(Table):
    """A table that says itself what it holds."""

    def fingerprint(self, hash_of: Callable[[Path], str | None]) -> str:
        return f"{self._table} {hash_of(Path('/nowhere'))}"


def test_a_dataset_s_own_word_counts(hashes: FileHashes) -> None:
    assert fingerprint(Told("t"), hashes) == "t None"


def test_equal_places_are_one_thing_under_two_names(tmp_path: Path) -> None:
    assert place(ChampionDataset("digits")) == place(ChampionDataset("digits"))
    assert place(ChampionDataset("digits")) != place(ChampionDataset("small"))
    one = place(OnnxDataset(filepath="a"))
    assert place(OnnxDataset(filepath="a")) == one
    assert place(OnnxDataset(filepath="b")) != one
    assert place(NetworkDataset(filepath="a")) != one
    assert place(DocumentDataset(filepath="a", document="x")) != place(DocumentDataset(filepath="a", document="y"))
    assert place(JSONDataset(filepath="a", metadata={"x": 1})) == place(JSONDataset(filepath="a"))


def test_a_catalog_tells_by_entries_and_patterns_and_looks_once(tmp_path: Path, hashes: FileHashes) -> None:
    (tmp_path / "a").write_bytes(b"1")
    configuration = {
        "raw": {"type": "thresher.datasets.local.OnnxDataset", "filepath": str(tmp_path / "a")},
        "{recipe}.onnx": {"type": "thresher.datasets.local.OnnxDataset", "filepath": str(tmp_path / "{recipe}")},
    }
    contents = CatalogContents(DataCatalog.from_config(configuration), hashes)
    assert contents.of("a.onnx") == contents.of("raw")
    assert contents.place("a.onnx") == contents.place("raw")
    assert contents.of("b.onnx") == ABSENT
    assert contents.dataset("unknown") is None
    assert contents.of("unknown") is None
    assert contents.place("unknown") == "unknown"
    (tmp_path / "a").write_bytes(b"2")
    assert contents.of("a.onnx") == contents.of("raw")
    assert CatalogContents(DataCatalog.from_config(configuration), hashes).of("raw") != contents.of("raw")


class Cut(ImageFolder):
    """A reader of the user's own with an argument of its own."""

    def __init__(self, *, at: int, **others: Any) -> None:
        super().__init__(**others)
        self.at = at


def test_arguments_of_a_reader_of_the_users_own_count(tmp_path: Path, hashes: FileHashes) -> None:
    folder = str(write(tmp_path / "raw", a=b"1"))
    found = [fingerprint(Cut(path=folder, at=at, seed=seed), hashes) for at, seed in ((1, 0), (2, 0), (1, 1), (1, 0))]
    assert (len(set(found)), found[0]) == (3, found[3])


def test_the_order_of_classes_in_a_mapping_counts(tmp_path: Path, hashes: FileHashes) -> None:
    (tmp_path / "t.txt").write_text("a one\nb two\n")
    given = {"path": str(tmp_path), "file": "t.txt"}
    names = ({"a": "A", "b": "B"}, {"b": "B", "a": "A"})
    assert len({fingerprint(LabeledLines(**given, class_names=order), hashes) for order in names}) == 2
