"""Tables from CSV, JSON Lines and Parquet: types, missing values, comments and labels, with mistakes by their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.table import Table
from thresher.readers import BundledTable, TableFile
from thresher.readers.base import RawSamples

CENSUS = """|1x3 Cross validator
39, State-gov, Bachelors, <=50K.
50, ?, HS-grad, >50K.

38, Private, ?, <=50K.
"""


def error_of(dataset: RawSamples) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, DataError)
    return str(caught.value.__cause__)


def columns_of(samples: Samples[Any]) -> dict[str, list[Any]]:
    assert isinstance(samples.inputs, Table)
    return {name: column.tolist() for name, column in samples.inputs.columns.items()}


def census(folder: Path, content: str = CENSUS, **changes: Any) -> TableFile:
    (folder / "adult.test").write_text(content)
    arguments = {
        "file": "adult.test",
        "header": False,
        "columns": ["age", "workclass", "education", "income"],
        "label": "income",
        "missing": ["?"],
        "skip_lines_starting_with": "|",
        "class_names": {"<=50K": "low", "<=50K.": "low", ">50K": "high", ">50K.": "high"},
    }
    return TableFile(path=str(folder), **(arguments | changes))


def test_a_table_with_all_the_dirt_of_adult(tmp_path: Path) -> None:
    samples = census(tmp_path).load()
    assert columns_of(samples) == {
        "age": [39.0, 50.0, 38.0],
        "workclass": ["State-gov", None, "Private"],
        "education": ["Bachelors", "HS-grad", None],
    }
    assert (samples.labels.tolist(), samples.class_names) == ([0, 1, 0], ("low", "high"))
    assert [samples.place(index) for index in range(3)] == ["adult.test:2", "adult.test:3", "adult.test:5"]


def numbers(folder: Path, rows: list[str], **changes: Any) -> TableFile:
    (folder / "t.csv").write_text("\n".join(["a,b,y", *rows]))
    return TableFile(path=str(folder), file="t.csv", **({"label": "y", "regression": True} | changes))


def test_types_are_inferred_or_said(tmp_path: Path) -> None:
    rows = ["1,x,1", "2.5,3,2", ",y,3"]
    loaded = columns_of(numbers(tmp_path, rows).load())
    assert loaded["b"] == ["x", "3", "y"]
    np.testing.assert_array_equal(loaded["a"], [1, 2.5, np.nan])
    assert columns_of(numbers(tmp_path, rows, categorical=["a"]).load())["a"] == ["1", "2.5", None]
    assert list(columns_of(numbers(tmp_path, rows, drop=["b"]).load())) == ["a"]
    text = error_of(numbers(tmp_path, rows, numeric=["b"]))
    assert text.startswith(f"{tmp_path / 't.csv'}:2: column 'b' holds 'x' among numbers; ")
    assert "t.csv:4: column 'b' holds 'y' among numbers. Fix: " in text


@pytest.mark.parametrize(
    ("value", "says"),
    [("x", "holds 'x' among numbers"), ("nan", "holds 'nan' among numbers"), ("inf", "infinite"), ("1_0", "'1_0'")],
)
def test_one_value_that_is_no_number_among_many_is_no_category(tmp_path: Path, value: str, says: str) -> None:
    rows = [f"{number},{number},1" for number in range(30)]
    text = error_of(numbers(tmp_path, [*rows, f"{value},1,1"]))
    assert text.startswith(f"{tmp_path / 't.csv'}:32: column 'a' ")
    assert says in text
    assert numbers(tmp_path, [*rows, f"{value},1,1"], missing=["", value]).load()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"label": "z"}, "no column 'z' (the label)"),
        ({"drop": ["c"]}, "no column 'c'"),
        ({"drop": ["a", "b"]}, "no columns besides the label"),
        ({"numeric": ["a"], "categorical": ["a"]}, "named twice under 'numeric', 'categorical'"),
        ({"columns": ["a", "b"]}, "3 columns, but 2 names"),
        ({"delimiter": ";"}, "no column 'y'"),
        ({"header": False}, "no columns"),
    ],
)
def test_entries_that_do_not_fit_the_file(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    assert says in error_of(numbers(tmp_path, ["1,2,3", "2,3,4"], **changes))


def test_rows_of_unequal_length_and_open_quotes(tmp_path: Path) -> None:
    text = error_of(numbers(tmp_path, ["1,2,3", "1,2", "1,2,3,4"]))
    assert text.startswith(f"{tmp_path / 't.csv'}:3: 2 values, but 3 columns; ")
    assert "t.csv:4: 4 values" in text
    assert "t.csv:3: " in error_of(numbers(tmp_path, ["1,2,3", '1,"2,3', "1,2,3"]))
    assert "holds no rows" in error_of(numbers(tmp_path, []))


def test_labels_of_a_regression(tmp_path: Path) -> None:
    samples = numbers(tmp_path, ["1,2,3.5", "2,3,"]).load()
    np.testing.assert_array_equal(samples.labels, [3.5, np.nan])
    assert "t.csv:2: label 'much' is not a finite number" in error_of(numbers(tmp_path, ["1,2,much"]))


def test_typed_files_agree_with_csv(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": [1, 2],
            "x": [0.5, None],
            "t": ["a", None],
            "c": pd.Categorical(["u", "v"]),
            "b": [True, False],
            "y": [0, 1],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame.assign(b=["true", "false"]).to_csv(tmp_path / "t.csv", index=False)
    loaded = [TableFile(path=str(tmp_path), file=f"t.{kind}", label="y").load() for kind in ("parquet", "jsonl", "csv")]
    for samples in loaded:
        assert samples.class_names == ("0", "1")
        assert samples.content_hash() == loaded[0].content_hash()
    assert columns_of(loaded[0])["b"] == ["true", "false"]
    assert columns_of(loaded[0])["t"] == ["a", None]


def test_columns_of_other_types_can_only_be_dropped(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1.0], "l": [[1, 2]], "y": [1.0]}).to_parquet(tmp_path / "t.parquet")
    arguments = {"path": str(tmp_path), "file": "t.parquet", "label": "y", "regression": True}
    assert "column 'l' is of type list" in error_of(TableFile(**arguments))
    assert list(columns_of(TableFile(**arguments, drop=["l"]).load())) == ["a"]
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    assert "not a readable Parquet file" in error_of(TableFile(**arguments))


def test_parts_of_a_regression_are_a_partition(tmp_path: Path) -> None:
    rows = [f"{number},1,{number}" for number in range(20)]
    parts = [numbers(tmp_path, rows, split=split, test_share=0.2, seed=3).load() for split in ("train", "test")]
    assert [len(part) for part in parts] == [16, 4]
    assert sorted([*parts[0].labels, *parts[1].labels]) == list(range(20))


@pytest.mark.parametrize(
    ("name", "num_columns", "num_samples", "classes"),
    [("diabetes", 10, 442, 0), ("breast_cancer", 30, 569, 2), ("wine", 13, 178, 3)],
)
def test_bundled_tables(name: str, num_columns: int, num_samples: int, classes: int) -> None:
    train, test = (BundledTable(name=name, split=split) for split in ("train", "test"))  # type: ignore[arg-type]
    assert train.exists()
    assert len(train.load()) + len(test.load()) == num_samples
    assert len(columns_of(test.load())) == num_columns
    assert len(test.load().class_names) == classes
    with pytest.raises(DataError, match="Did you mean 'diabetes'"):
        BundledTable(name="diabetis", split="train")


CELLS = st.one_of(st.none(), st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=6))


@settings(max_examples=40, deadline=None)
@given(st.lists(CELLS, min_size=1, max_size=6))
def test_categories_survive_csv(tmp_path_factory: pytest.TempPathFactory, cells: list[str | None]) -> None:
    folder = tmp_path_factory.mktemp("table")
    pd.DataFrame({"c": cells, "y": 1.0}).to_csv(folder / "t.csv", index=False, lineterminator="\n")
    entry = TableFile(path=str(folder), file="t.csv", label="y", regression=True, strip=False, categorical=["c"])
    assert columns_of(entry.load())["c"] == cells
