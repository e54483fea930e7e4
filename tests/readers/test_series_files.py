"""Series from .ts files and Parquet: any number of channels, any lengths, and each mistake with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError
from pyarrow import parquet

from thresher.errors import DataError
from thresher.readers import ParquetSeries, TsSeries
from thresher.readers.base import RawSamples

HEADER = "# a comment\n@problemName x\n@timeStamps false\n@univariate false\n@classLabel true no yes\n@data\n"


def error_of(dataset: RawSamples) -> str:
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, DataError)
    return str(caught.value.__cause__)


def ts(folder: Path, data: str, header: str = HEADER, **changes: Any) -> TsSeries:
    (folder / "x_TRAIN.ts").write_text(header + data)
    return TsSeries(path=str(folder), file="x_TRAIN.ts", **changes)


def test_channels_lengths_missing_values_and_places(tmp_path: Path) -> None:
    samples = ts(tmp_path, "1,2,3:4,?,6:yes\n\n# between\n7:8:no\n9:-1e2:?\n").load()
    np.testing.assert_array_equal(samples.inputs[0], np.array([[1, 4], [2, np.nan], [3, 6]], np.float64))
    assert [series.shape for series in samples.inputs] == [(3, 2), (1, 2), (1, 2)]
    assert samples.inputs[0].dtype == np.float64
    assert (samples.labels.tolist(), samples.class_names) == ([1, 0, -1], ("no", "yes"))
    assert [samples.place(index) for index in range(3)] == ["x_TRAIN.ts:7", "x_TRAIN.ts:10", "x_TRAIN.ts:11"]


def test_series_of_equal_length_stay_a_list_of_series(tmp_path: Path) -> None:
    inputs = ts(tmp_path, "1,2:no\n3,4:yes\n").load().inputs
    assert (inputs.dtype, inputs.shape, inputs[1].tolist()) == (np.object_, (2,), [[3], [4]])


def test_targets_and_renamed_classes(tmp_path: Path) -> None:
    samples = ts(tmp_path, "1,2:0.5\n", "@targetLabel true\n@data\n").load()
    assert (samples.labels.tolist(), samples.class_names) == ([0.5], ())
    named = ts(tmp_path, "1,2:yes\n", class_names={"yes": "winter", "no": "summer"}).load()
    assert (named.labels.tolist(), named.class_names) == ([0], ("winter", "summer"))
    assert "no classes (@targetLabel)" in error_of(
        ts(tmp_path, "1,2:1\n", "@targetLabel true\n@data\n", class_names=["a"])
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("1,2:yes\n:no\n", ":8: a series of length 0"),
        ("1:2:yes\n1::no\n", ":8: a series of length 0"),
        ("1,2:3:yes\n", ":7: channels of unequal length (1, 2 steps)"),
        ("1:2:yes\n1:yes\n", ":8: 1 channels, but 2 in the lines before"),
        ("1,two:yes\n", ":7: what is not a number (could not convert"),
        ("1,1_0:yes\n", ":7: what is not a number (could not convert string to float: '1_0')"),
        (
            "1,9007199254740993:yes\n",
            ":7: what is not a number (a 64-bit float cannot represent 9007199254740993 exactly)",
        ),
        ("1,1e400:yes\n", ":7: an infinite or too large number"),
        ("(0,1),(1,2):yes\n", ":7: values with timestamps"),
        ("1,2\n", ":7: no colon"),
        ("1:maybe\n", ":7: label 'maybe' is not declared"),
        ("", "holds no series"),
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, data: str, says: str) -> None:
    text = error_of(ts(tmp_path, data))
    assert says in text
    assert "x_TRAIN.ts" in text
    assert "Fix: " in text


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("@timeStamps true\n@classLabel true a\n@data\n", "@timestamps true, but series with times of their own"),
        ("@classLabel false\n@data\n", "neither classes nor targets"),
        ("@classLabel true a\n", ":2: '1:a' before @data"),
        ("", ":1: '1:a' before @data"),
    ],
)
def test_headers_that_cannot_be_used(tmp_path: Path, header: str, says: str) -> None:
    assert says in error_of(ts(tmp_path, "1:a\n", header))


VALUES = st.one_of(st.none(), st.floats(-(2.0**100), 2.0**100, width=32))
SERIES = st.integers(1, 3).flatmap(
    lambda channels: st.lists(
        st.integers(1, 6).flatmap(
            lambda length: st.lists(
                st.lists(VALUES, min_size=length, max_size=length), min_size=channels, max_size=channels
            )
        ),
        min_size=1,
        max_size=4,
    )
)


@settings(max_examples=60, deadline=None)
@given(SERIES)
def test_ts_and_parquet_round_trip(
    tmp_path_factory: pytest.TempPathFactory, series: list[list[list[float | None]]]
) -> None:
    """Series as samples x channels x steps, written and read in both formats."""
    folder = tmp_path_factory.mktemp("series")
    lines = [
        ":".join(",".join("?" if value is None else repr(value) for value in channel) for channel in one) + ":no\n"
        for one in series
    ]
    columns = {f"c{channel}": [one[channel] for one in series] for channel in range(len(series[0]))}
    typed = {name: pa.array(rows, pa.list_(pa.float64())) for name, rows in columns.items()}
    parquet.write_table(pa.table({**typed, "label": ["no"] * len(series)}), folder / "x.parquet")
    from_parquet = ParquetSeries(path=str(folder), file="x.parquet", channels=list(columns), class_names=["no", "yes"])
    assert from_parquet.load().channel_names == tuple(columns)
    expected = [np.array(one, dtype=np.float64).T for one in series]
    for dataset in (ts(folder, "".join(lines)), from_parquet):
        loaded = dataset.load()
        assert len(loaded) == len(expected)
        for found, wanted in zip(loaded.inputs, expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def write_parquet(folder: Path, **columns: list[Any]) -> Path:
    parquet.write_table(pa.table(columns), folder / "x.parquet")
    return folder


def entry(folder: Path, **changes: Any) -> ParquetSeries:
    return ParquetSeries(path=str(folder), file="x.parquet", **({"channels": ["a", "b"]} | changes))


def test_parquet_with_mistakes(tmp_path: Path) -> None:
    write_parquet(tmp_path, a=[[1.0], [], [1.0, 2.0], None], b=[[1.0], [], [1.0], [1.0]], label=["x"] * 4)
    text = error_of(entry(tmp_path))
    assert text.startswith(f"{tmp_path / 'x.parquet'}:2: a series of length 0 (a 0, b 0 steps); ")
    assert "x.parquet:3: channels of unequal length (a 2, b 1 steps)" in text
    assert "x.parquet:4: a series of length 0" in text


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_view(pa.int64()), pa.list_(pa.int64(), 2)]
)
def test_all_that_parquet_calls_a_list_is_read_exactly(tmp_path: Path, kind: pa.DataType) -> None:
    table = {"a": pa.array([[2**53, 1], [None, 3]], kind), "label": ["x", "y"]}
    parquet.write_table(pa.table(table), tmp_path / "x.parquet")
    inputs = entry(tmp_path, channels=["a"]).load().inputs
    np.testing.assert_array_equal(inputs[0], [[2.0**53], [1]])
    np.testing.assert_array_equal(inputs[1], [[np.nan], [3]])
    table["a"] = pa.array([[1, 2], [3, 2**53 + 1]], kind)
    parquet.write_table(pa.table(table), tmp_path / "x.parquet")
    text = error_of(entry(tmp_path, channels=["a"]))
    assert text.startswith(
        f"{tmp_path / 'x.parquet'}:2: column 'a' holds 9007199254740993, which is infinite, or not a 64"
    )


def test_parquet_that_holds_no_series(tmp_path: Path) -> None:
    write_parquet(tmp_path, a=[["1", "2"]], b=[[1.0, float("inf")]], c=[[[1]]], label=["x"])
    assert "column 'a' is of type list<" in error_of(entry(tmp_path, channels=["a"]))
    assert "x.parquet:1: column 'b' holds inf" in error_of(entry(tmp_path, channels=["b"]))
    assert "column 'c' is of type list<" in error_of(entry(tmp_path, channels=["c"]))
    twice = pa.table([pa.array([[1.0]])] * 2, names=["a", "a"])
    parquet.write_table(twice, tmp_path / "x.parquet")
    assert "column 'a' appears twice" in error_of(entry(tmp_path, channels=["a"]))


def test_parquet_columns_and_regression(tmp_path: Path) -> None:
    write_parquet(tmp_path, a=[[1.0, None]], b=[[3, 4]], c=["text"], label=[2.5])
    samples = entry(tmp_path, regression=True).load()
    assert samples.labels.tolist() == [2.5]
    np.testing.assert_array_equal(samples.inputs[0], [[1, 3], [np.nan, 4]])
    assert "no column 'aa' (a channel)" in error_of(entry(tmp_path, channels=["aa"]))
    assert "column 'c' is of type string. Fix: lists of numbers." in error_of(entry(tmp_path, channels=["c"]))
    assert "no column 'y' (the label)" in error_of(entry(tmp_path, label="y"))
