"""Texts with labels from lines, CSV, JSON Lines and Parquet; every mistake with its file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from thresher.errors import DataError
from thresher.readers import LabeledLines, TextTable
from thresher.readers.base import RawSamples


def error_of(dataset: RawSamples) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, DataError)
    return str(caught.value.__cause__)


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    content = "0 How far ?\r\n\n1 Who is it ?\n0  M\u00e4dchen \x85 x\n"
    (tmp_path / "q.txt").write_bytes(content.encode("latin-1"))
    return tmp_path


def entry(folder: Path, **changes: Any) -> LabeledLines:
    return LabeledLines(path=str(folder), **({"file": "q.txt", "encoding": "latin-1"} | changes))


def test_lines_with_labels(lines: Path) -> None:
    samples = entry(lines, class_names=["number", "human"]).load()
    assert samples.inputs.tolist() == ["How far ?", "Who is it ?", "M\u00e4dchen \x85 x"]
    assert samples.labels.tolist() == [0, 1, 0]
    assert samples.class_names == ("number", "human")
    assert samples.places is not None
    assert samples.places.tolist() == ["q.txt:1", "q.txt:3", "q.txt:4"]


@pytest.mark.parametrize(
    ("class_names", "names", "labels"),
    [
        (None, ("0", "1"), [0, 1, 0]),
        (["1", "0"], ("1", "0"), [1, 0, 1]),
        ({"1": "one", "0": "zero", "2": "one"}, ("one", "zero"), [1, 0, 1]),
        ({1: "one", 0: "zero"}, ("one", "zero"), [1, 0, 1]),
    ],
)
def test_how_labels_are_named(lines: Path, class_names: Any, names: tuple[str, ...], labels: list[int]) -> None:
    samples = entry(lines, class_names=class_names).load()
    assert (samples.class_names, samples.labels.tolist()) == (names, labels)


def test_found_labels_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("10 a\n9 b\nx c\n-1 d\n")
    assert entry(tmp_path).load().class_names == ("-1", "9", "10", "x")


def test_labels_that_are_not_declared(lines: Path) -> None:
    text = error_of(entry(lines, class_names={"0": "number", "l": "human"}))
    assert text.startswith("q.txt:3: label '1' is not declared")
    assert "Allowed: 0, l" in text


def test_the_first_mistakes_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("0 fine\n" + "1\n" * 7 + "1 \t\n")
    text = error_of(entry(tmp_path))
    assert text.startswith(f"{tmp_path / 'q.txt'}:2: label '1' without a text; ")
    assert "q.txt:6: " in text
    assert "q.txt:7: " not in text
    assert "; and 3 more. Fix: write the text, or remove the line." in text


def test_a_wrong_encoding_names_the_line(lines: Path) -> None:
    text = error_of(entry(lines, encoding="utf-8"))
    assert text.startswith(f"{lines / 'q.txt'}:4: byte 0xe4 is not utf-8")
    assert "'encoding: latin-1'" in text
    with pytest.raises(DataError, match="encoding: 'latin1x' is unknown"):
        entry(lines, encoding="latin1x")


def test_numbers_as_labels(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("0.5 good\n-2 bad\n")
    samples = entry(tmp_path, regression=True).load()
    assert (samples.labels.tolist(), samples.labels.dtype, samples.class_names) == ([0.5, -2], np.float64, ())
    (tmp_path / "q.txt").write_text("0.5 good\nhigh bad\ninf worse\n")
    text = error_of(entry(tmp_path, regression=True))
    assert text.startswith(
        "q.txt:2: label 'high' is not a finite number; q.txt:3: label 'inf' is not a finite number. Fix"
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"class_names": ["a", "a"]}, "'a' appears twice"),
        ({"class_names": [True, False]}, "true given. .*quotes"),
        ({"class_names": "ab"}, "a list of names"),
        ({"class_names": ["a"], "regression": True}, "has no classes"),
        ({"split": "train"}, "test_share: missing beside 'split'"),
    ],
)
def test_arguments_are_refused_before_reading(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        entry(Path("nowhere"), **changes)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    assert "no such file. Fix: run 'thresher fetch trec'." in error_of(entry(tmp_path, fetch="trec"))
    (tmp_path / "q.txt").write_text("\n\n")
    assert "the file is empty" in error_of(entry(tmp_path))


def test_parts_of_one_file_are_a_partition(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("".join(f"{number % 2} text {number}\n" for number in range(20)))
    parts = [entry(tmp_path, split=split, test_share=0.3, seed=2).load() for split in ("train", "test")]
    assert [len(part) for part in parts] == [14, 6]
    assert sorted([*parts[0].inputs, *parts[1].inputs]) == sorted(f"text {number}" for number in range(20))


ROWS = {"id": [1, 2, 3], "text": ["How, far", 'the "moon"', "two\nlines"], "label": ["a", "b", "a"]}


def write(folder: Path, suffix: str, rows: dict[str, list[Any]]) -> str:
    frame, name = pd.DataFrame(rows), f"texts.{suffix}"
    if suffix == "csv":
        frame.to_csv(folder / name, index=False)
    elif suffix == "jsonl":
        frame.to_json(folder / name, orient="records", lines=True)
    else:
        frame.to_parquet(folder / name)
    return name


@pytest.mark.parametrize(("suffix", "first"), [("csv", 2), ("jsonl", 1), ("parquet", 1)])
def test_tables_of_texts(tmp_path: Path, suffix: str, first: int) -> None:
    samples = TextTable(path=str(tmp_path), file=write(tmp_path, suffix, ROWS)).load()
    assert samples.inputs.tolist() == ROWS["text"]
    assert (samples.labels.tolist(), samples.class_names) == ([0, 1, 0], ("a", "b"))
    assert samples.place(1) == f"texts.{suffix}:{first + 1}"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_tables_with_mistakes(tmp_path: Path, suffix: str) -> None:
    name = write(tmp_path, suffix, {"text": ["a", None, " "], "label": ["x", "y", "x"]})
    text = error_of(TextTable(path=str(tmp_path), file=name))
    assert text.count("no text in column 'text'") == 2
    assert str(tmp_path / name) in text
    missing = error_of(TextTable(path=str(tmp_path), file=name, text="txt"))
    assert "no column 'txt' (the texts). Did you mean 'text'?" in missing


def test_a_missing_label_is_left_to_the_contract(tmp_path: Path) -> None:
    name = write(tmp_path, "jsonl", {"text": ["a", "b"], "label": [None, "y"]})
    assert TextTable(path=str(tmp_path), file=name, class_names=["x", "y"]).load().labels.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"text": "a"', "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": "a", "label": "x"}\n{"text": ["b"], "label": "x"}', "t.jsonl:2: column 'text' holds list ['b']"),
    ],
)
def test_json_lines_that_are_none(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    assert says in error_of(TextTable(path=str(tmp_path), file="t.jsonl"))


PLAIN = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(st.lists(PLAIN, min_size=1, max_size=5))
def test_any_text_survives_json_lines(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("texts")
    documents = [json.dumps({"text": text, "label": "x"}, ensure_ascii=False) for text in texts]
    (folder / "t.jsonl").write_text("\n".join(documents), encoding="utf-8", newline="")
    assert TextTable(path=str(folder), file="t.jsonl").load().inputs.tolist() == texts
