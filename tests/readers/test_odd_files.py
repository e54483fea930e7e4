"""Files as people bring them: what is read of them, or the sentence that is said."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from kedro.io import DatasetError
from PIL import Image

from thresher.errors import DataError
from thresher.readers import ImageFolder, LabeledLines, TableFile, TsSeries
from thresher.readers.base import RawSamples

KIND = "Tables and texts"


def write(folder: Path, content: str | bytes, name: str = "odd.csv") -> dict[str, str]:
    """Return the arguments of a reader of a file with ``content``."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return {"path": str(folder), "file": name}


def refusal(dataset: RawSamples) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, DataError)
    return str(caught.value.__cause__)


@pytest.mark.oddity(KIND, "lines that end in a carriage return alone", "each is a sample of its own, as in CSV")
def test_lines_of_old_macs(tmp_path: Path) -> None:
    samples = LabeledLines(**write(tmp_path, b"a hello\rb bye\ra again\r")).load()
    assert (samples.inputs.tolist(), samples.labels.tolist()) == (["hello", "bye", "again"], [0, 1, 0])
    assert samples.place(1) == "odd.csv:2"


@pytest.mark.oddity(KIND, "zero bytes in a text, as a crash or a fixed width leaves them", "an error with the line")
def test_zero_bytes(tmp_path: Path) -> None:
    told = refusal(TableFile(**write(tmp_path, b"x,y\n1,u\n2,v\0\0\n"), label="y"))
    assert "odd.csv:3: a zero byte" in told


@pytest.mark.oddity(KIND, "a file of one byte a character that is declared as UTF-16", "an error that says so")
def test_a_file_that_is_no_utf_16(tmp_path: Path) -> None:
    told = refusal(TableFile(**write(tmp_path, b"x,y\n1,u\n2,v\n"), label="y", encoding="utf-16"))
    assert "one line in utf-16" in told and "encoding: utf-8" in told


@pytest.mark.oddity(KIND, "one group that is written as 1, 1.0 and 01", "it is one group, and on one side of a split")
def test_a_group_that_is_a_number(tmp_path: Path) -> None:
    entry = write(tmp_path, "g,x,y\n1,1,u\n1.0,2,v\n01,3,u\n9007199254740993,4,v\nA1,5,u\n1e0,6,v\n")
    samples = TableFile(**entry, label="y", group="g").load()
    assert samples.groups is not None
    assert samples.groups.tolist() == ["1", "1", "1", "9007199254740993", "A1", "1"]


@pytest.mark.oddity(KIND, "labels such as 1.234 beside 999, whose point may divide thousands", "a line that says so")
def test_labels_whose_point_may_divide_thousands(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = "".join(f"{number},{number}.{number}00\n" for number in range(1, 8))
    entry = write(tmp_path, f"x,y\n{lines}8,999\n")
    assert TableFile(**entry, label="y", regression=True).load().labels[0] == 1.1
    assert "'1.100' have a point that may divide thousands" in caplog.text


@pytest.mark.oddity(KIND, "numbers as Fortran writes them, 1.0D+03, in many rows", "an error: no categories")
def test_numbers_of_fortran(tmp_path: Path) -> None:
    lines = "".join(f"{number}.5D+0{number % 4},{number % 2}\n" for number in range(30))
    assert "looks like numbers, such as '0.5D+00'" in refusal(TableFile(**write(tmp_path, f"x,y\n{lines}"), label="y"))


@pytest.mark.oddity(KIND, "fastText's lines with several labels", "an error with the line")
def test_lines_of_several_labels(tmp_path: Path) -> None:
    told = refusal(LabeledLines(**write(tmp_path, "__label__a hello you\n__label__a __label__b bye\n")))
    assert "odd.csv:2: two labels, '__label__a' and '__label__b'" in told


@pytest.mark.oddity(KIND, "a .ts file whose header contradicts its series", "a line that says which counts")
@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("@univariate true", "the header says 1 channels, and the series have 2"),
        ("@dimensions 3", "the header says 3 channels, and the series have 2"),
        ("@equalLength true\n@seriesLength 4", "the header says series of one length, 4; they have 3 steps"),
        ("@univariate false\n@dimensions 2\n@equalLength TRUE\n@seriesLength 3", ""),
    ],
)
def test_a_header_that_contradicts(tmp_path: Path, header: str, says: str, caplog: pytest.LogCaptureFixture) -> None:
    text = f"{header}\n@classLabel True a b\n@data\n1,2,3:4,5,6:a\n1,2,3:4,5,7:b\n"
    assert TsSeries(**write(tmp_path, text, "odd.ts")).load().inputs[0].shape == (3, 2)
    assert says in caplog.text if says else not caplog.text


@pytest.mark.oddity("Images", "folders of classes whose names differ in case alone", "two classes, which is said")
def test_folders_of_one_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = io.BytesIO()
    Image.new("L", (3, 3)).save(file, "PNG")
    for name in ("Cat", "cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(file.getvalue())
    assert ImageFolder(path=str(tmp_path), channels=1).load().class_names == ("Cat", "cat", "dog")
    assert "'Cat' and 'cat' differ in case" in caplog.text
