"""The arguments of readers: strict types, and everything that is wrong with them told at once."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from kedro.io import DataCatalog

from thresher import readers
from thresher.errors import DataError
from thresher.kinds import built_in
from thresher.readers.base import RawSamples
from thresher.readers.option_errors import ArgumentsError, describe_allowed

READERS: list[type[RawSamples[Any]]] = [kind.load() for kind in built_in.READERS]
SOUND: dict[str, dict[str, Any]] = {
    "BundledDigits": {"split": "train"},
    "BundledTable": {"name": "wine", "split": "train"},
    "IdxImages": {"images": "i", "labels": "l", "class_names": ["a", "b"]},
    "ImageFolder": {"path": "f"},
    "ImageSheets": {"images": ["i"], "labels": "l", "size": [2, 2], "class_names": ["a"]},
    "LabeledLines": {"file": "f"},
    "NpzImages": {"file": "f"},
    "ParquetImages": {"file": "f"},
    "ParquetSeries": {"file": "f", "channels": ["v"]},
    "TableFile": {"file": "f", "label": "y"},
    "TextTable": {"file": "f"},
    "TsSeries": {"file": "f"},
}


def refused(reader: str, changes: dict[str, Any]) -> str:
    with pytest.raises(DataError) as caught:
        getattr(readers, reader)(**SOUND[reader] | changes)
    assert not {"pydantic", "Input should", "type=", "validation error"} & set(str(caught.value).split())
    return str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_every_argument_of_every_reader_is_documented_and_says_what_it_allows(reader: type[RawSamples[Any]]) -> None:
    assert reader(**SOUND[reader.__name__]).paths
    for name, field in reader.options_type.model_fields.items():
        assert field.description, name
        assert name == "metadata" or describe_allowed(field.annotation) != "anything", name


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("TableFile", {"missing": "NA"}, ["missing: 'NA' given", "a list of texts", "Fix: write missing: [NA]"]),
        ("TableFile", {"drop": "id, x"}, ["Fix: write drop: [id, x]"]),
        ("ParquetSeries", {"channels": "vw"}, ["channels: 'vw' given", "Fix: write channels: [vw]"]),
        ("TableFile", {"header": "no"}, ["header: 'no' given. Allowed: true or false. Fix: write header: false"]),
        ("TableFile", {"header": 0}, ["header: 0 given. Allowed: true or false. Fix: write header: false"]),
        ("TableFile", {"delimiter": ";;"}, ["delimiter: ';;' given. Allowed: exactly one character"]),
        ("TableFile", {"delimiter": ""}, ["delimiter: '' given. Allowed: exactly one character"]),
        ("TableFile", {"numeric": ""}, ["numeric: '' given. Allowed: a list of columns, each once"]),
        ("TableFile", {"delimiter": '"'}, ["delimiter: '\"' given. It quotes values"]),
        ("BundledDigits", {"seed": -1}, ["seed: -1 given. Allowed: a whole number from 0"]),
        ("BundledDigits", {"seed": True}, ["seed: true given. Allowed: a whole number from 0"]),
        ("BundledDigits", {"seed": 1.0}, ["seed: 1.0 given. Allowed: a whole number from 0. Fix: write seed: 1"]),
        ("BundledDigits", {"test_share": "0.2"}, ["'0.2' given. Allowed: a number between 0 and 1", "test_share: 0.2"]),
        ("BundledDigits", {"test_share": 1}, ["test_share: 1 given. Allowed: a number between 0 and 1"]),
        ("BundledDigits", {"test_share": float("nan")}, ["test_share: nan given"]),
        ("BundledDigits", {"split": "trian"}, ["split: 'trian' given. Did you mean 'train'? Allowed: train or test"]),
        ("BundledDigits", {"split": True}, ["split: true given. Allowed: train or test."]),
        ("BundledTable", {"name": "wien"}, ["name: 'wien' given. Did you mean 'wine'?"]),
        ("TableFile", {"delimeter": ";"}, ["delimeter: there is no such argument. Did you mean 'delimiter'?"]),
        ("TableFile", {"label": 7}, ["label: 7 given. Allowed: the name of a column", "put it into quotes"]),
        ("TableFile", {"label": None}, ["label: null given", "put it into quotes"]),
        ("TableFile", {"columns": ["a", True]}, ["columns.1: true given", "put it into quotes"]),
        ("TableFile", {"columns": ["a", "b", "a"]}, ["columns: 'a' appears twice"]),
        ("TableFile", {"columns": []}, ["columns: [] given"]),
        ("TableFile", {"encoding": "hex"}, ["encoding: 'hex' is unknown. Fix: write it like utf-8"]),
        ("TableFile", {"file": "a\0b"}, [r"file: 'a\x00b' given"]),
        (
            "ParquetImages",
            {"file": ["b", "./b"]},
            ["file: ['b', './b'] given. Allowed: ", "a list of files, each once"],
        ),
        ("ImageSheets", {"images": ["b", "./b"]}, ["images: 'b' and './b' are one file. Name each only once."]),
        ("ImageSheets", {"images": ["b", "x/../b"]}, ["images: 'b' and 'x/../b' are one file"]),
        ("ImageSheets", {"images": ["b", "b"]}, ["images: 'b' appears twice"]),
        ("ImageFolder", {"channels": 4}, ["channels: 4 given. Allowed: 1 for grey or 3 for RGB"]),
        ("ImageFolder", {"channels": True}, ["channels: true given. Allowed: 1 for grey or 3 for RGB"]),
        ("ImageFolder", {"size": 28}, ["size: 28 given. Allowed: [height, width], two whole numbers from 1"]),
        ("ImageFolder", {"size": [28, 0]}, ["size.1: 0 given"]),
        ("ImageFolder", {"size": [28, 28, 3]}, ["size: [28, 28, 3] given"]),
        ("ImageFolder", {"background": "wite"}, ["background: 'wite' given. Did you mean 'white'?"]),
        ("ImageFolder", {"background": [255, 255]}, ["white, black, or [red, green, blue] as whole numbers"]),
        ("ImageFolder", {"background": [0, 0, 256]}, ["background.2: 256 given"]),
        ("IdxImages", {"class_names": {"0": "a"}}, ["class_names: {'0': 'a'} given. Allowed: a list of names"]),
        ("LabeledLines", {"class_names": {True: "a"}}, ["true given. Allowed: a list of names", "quotes"]),
        ("LabeledLines", {"class_names": [1.5]}, ["class_names.0: 1.5 given", "quotes"]),
        ("LabeledLines", {"class_names": ["1", 1]}, ["class_names: '1' appears twice"]),
        ("LabeledLines", {"split": "train"}, ["test_share: missing beside 'split'"]),
        ("LabeledLines", {"test_share": 0.2}, ["test_share: 0.2 given without 'split'"]),
    ],
)
def test_what_was_given_what_is_allowed_and_what_to_write(name: str, changes: dict[str, Any], says: list[str]) -> None:
    text = refused(name, changes)
    assert text.startswith(f"{name}: ")
    assert all(part in text for part in says), text
    assert "null" not in text or None in changes.values()


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ArgumentsError) as caught:
        readers.TableFile(file="f", missing="NA", header="no", delimeter=";", seed=-1, split="train")
    told = {problem.place for problem in caught.value.problems}
    assert told == {("header",), ("seed",), ("label",), ("missing",), ("delimeter",), ("test_share",)}
    assert str(caught.value).startswith("TableFile: 6 problems in its arguments\n  ")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


@pytest.mark.parametrize("reader", READERS)
def test_a_catalog_writes_readers_as_they_were_given(reader: type[RawSamples[Any]]) -> None:
    given = {"type": f"{reader.__module__}.{reader.__name__}", **SOUND[reader.__name__]}
    catalog = DataCatalog.from_config({"d": given})
    catalog.get("d")
    written, *_ = catalog.to_config()
    assert {**written["d"], "path": None} == {**given, "path": None}


def test_names_may_be_whole_numbers() -> None:
    assert readers.LabeledLines(file="f", class_names=[0, 1]).options.classes == ["0", "1"]
    assert readers.LabeledLines(file="f", class_names={0: "no", 1: "yes"}).options.classes == {"0": "no", "1": "yes"}
