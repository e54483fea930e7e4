"""Groups and times of samples that have no columns: from arrays, names of files, and files beside them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.modalities.split_compatibility import require_agreement
from thresher.readers.base import RawSamples
from thresher.readers.idx import IdxImages
from thresher.readers.image_files import NpzImages
from thresher.readers.image_folder import ImageFolder
from thresher.readers.series import TsSeries
from thresher.readers.tables import TableFile
from thresher.readers.texts import LabeledLines

KIND = "Tables and texts"
PEOPLE = [f"p{row // 2}" for row in range(24)]
DAYS = [f"2026-01-{24 - row:02}" for row in range(24)]
HEAD = "@problemName p\n@univariate true\n@missing false\n@equalLength true\n@classLabel true a b\n@data\n"


def npz(folder: Path, key: str, values: list[str]) -> RawSamples[Any]:
    images = np.arange(24 * 4, dtype=np.uint8).reshape(24, 2, 2)
    np.savez(folder / "t.npz", images=images, labels=np.arange(24) % 2, beside=np.array(values))
    return NpzImages(path=str(folder), file="t.npz", split="test", test_share=0.25, **{key: "beside"})


def pictures(folder: Path, key: str, values: list[str]) -> RawSamples[Any]:
    for row, value in enumerate(values):
        place = folder / "pictures" / "ab"[row % 2] / f"{row:02}_{value}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), row).save(place)
    pattern = "_([a-z0-9-]+)[.]png"
    return ImageFolder(path=str(folder / "pictures"), channels=1, split="test", test_share=0.25, **{key: pattern})


def lines(folder: Path, key: str, values: list[str]) -> RawSamples[Any]:
    (folder / "t.txt").write_text("".join(f"{'ab'[row % 2]} text {row}\n" for row in range(24)))
    (folder / "beside.txt").write_text("\n".join(values) + "\n")
    return LabeledLines(path=str(folder), file="t.txt", split="test", test_share=0.25, **{key: "beside.txt"})


def series(folder: Path, key: str, values: list[str]) -> RawSamples[Any]:
    (folder / "t.ts").write_text(HEAD + "".join(f"{row},1,2:{'ab'[row % 2]}\n" for row in range(24)))
    (folder / "beside.txt").write_text("\n".join(values) + "\n")
    return TsSeries(path=str(folder), file="t.ts", split="test", test_share=0.25, **{key: "beside.txt"})


READERS = pytest.mark.parametrize("make", [npz, pictures, lines, series], ids=lambda make: make.__name__)


@READERS
def test_no_group_is_divided(tmp_path: Path, make: Any) -> None:
    test = make(tmp_path, "group", PEOPLE).load()
    assert test.groups is not None and 4 <= len(test) <= 8
    assert all(test.groups.tolist().count(person) == 2 for person in test.groups)


@READERS
def test_the_last_samples_are_the_test_split(tmp_path: Path, make: Any) -> None:
    test = make(tmp_path, "order", DAYS).load()
    assert test.order is not None and len(test) == 6
    assert make(tmp_path, "order", DAYS).options.belonging
    assert min(test.order) == sorted(_all_times(tmp_path, make))[18]


def _all_times(folder: Path, make: Any) -> list[Any]:
    reader = make(folder, "order", DAYS)
    whole = type(reader)(**{**reader.options.model_dump(exclude_unset=True), "split": None, "test_share": None})
    return list(whole.load().order)


def test_a_file_beside_has_one_line_a_sample(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"beside\.txt: 23 lines, but there are 24 samples"):
        lines(tmp_path, "group", PEOPLE[1:])._read()


def test_a_picture_without_a_group_is_named(tmp_path: Path) -> None:
    reader = pictures(tmp_path, "group", PEOPLE)
    Image.new("L", (2, 2)).save(tmp_path / "pictures/a/nobody.png")
    with pytest.raises(DataError, match=r"a/nobody\.png: '.*' finds nothing in its name"):
        reader._read()


@pytest.mark.parametrize("pattern", ["(", "_[a-z]+", "(a)(b)"])
def test_a_pattern_that_finds_no_one_thing_is_refused(pattern: str) -> None:
    with pytest.raises(DataError, match="group: "):
        ImageFolder(path="p", group=pattern)


def test_copies_of_idx_images_are_left_out(tmp_path: Path) -> None:
    images = np.zeros((4, 2, 2), np.uint8)
    images[3] = 1
    content = struct.pack(">4I", 0x803, 4, 2, 2) + images.tobytes()
    (tmp_path / "i.gz").write_bytes(gzip.compress(content))
    (tmp_path / "l").write_bytes(struct.pack(">2I", 0x801, 4) + bytes([0, 1, 0, 1]))
    reader = IdxImages(path=str(tmp_path), images="i.gz", labels="l", class_names=["a", "b"], duplicates="drop")
    assert len(reader.load()) == 3  # of one content and one label
    assert reader.options.image_size() == (2, 2)


def timed(folder: Path, name: str, days: list[str]) -> Samples[Any]:
    (folder / name).write_text("x,day,y\n" + "".join(f"{row},{day},{'ab'[row % 2]}\n" for row, day in enumerate(days)))
    return TableFile(path=str(folder), file=name, label="y", order="day").load()


@pytest.mark.oddity(KIND, "files for train and test, given by time, of which test begins before train ends", "an error")
def test_test_does_not_come_before_train(tmp_path: Path) -> None:
    early = timed(tmp_path, "early.csv", ["2026-01-01", "2026-01-02", "2026-01-03"])
    late = timed(tmp_path, "late.csv", ["2026-01-03", "2026-01-04", "2026-01-05"])
    numbers = timed(tmp_path, "numbers.csv", ["70000", "70001", "70002"])
    require_agreement(early, late)
    with pytest.raises(DataError, match=r"early.csv:2 \(.*\) is earlier than late.csv:4"):
        require_agreement(late, early)
    require_agreement(early, numbers)
