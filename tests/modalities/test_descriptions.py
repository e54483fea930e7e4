"""The sample table of texts, rows and series: what a contract can speak about, and Parquet can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thresher.modalities.description import describe
from thresher.modalities.samples import Samples
from thresher.modalities.series.encoder import SeriesEncoding
from thresher.modalities.tabular.encoder import TabularEncoding
from thresher.modalities.tabular.table import Table
from thresher.modalities.text.encoder import TextEncoding


def objects(*values: object) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def regression(inputs: object, count: int) -> Samples:
    places = np.array([f"file:{number}" for number in range(count)], dtype=object)
    return Samples(inputs, np.linspace(0, 1, count), (), places)  # type: ignore[type-var]


def test_texts() -> None:
    samples = regression(objects("How far, now?", "a\nb\n", "  ", "na\u00efve"), 4)
    table = describe(samples, "train", TextEncoding(max_length=4))
    assert table["num_words"].tolist() == [5, 2, 0, 1]
    assert table["num_characters"].tolist() == [13, 4, 2, 5]
    assert table["num_lines"].tolist() == [1, 2, 1, 1]
    assert table["share_ascii"].tolist() == [1, 1, 1, 0.8]
    assert table["is_empty"].tolist() == [False, False, True, False]
    assert table["is_cut"].tolist() == [True, False, False, False]
    assert table["place"].tolist() == ["file:0", "file:1", "file:2", "file:3"]
    assert "class_name" not in table


def test_the_count_of_words_is_that_of_the_word_tokenizer() -> None:
    from thresher.modalities.text.encoder import TextEncoder

    texts = objects("Who's there -- 3.5 feet?!", "na\u00efve caf\u00e9 (x)", "one")
    samples = regression(texts, 3)
    encoder = TextEncoder.fit(samples, TextEncoding())
    table = describe(samples, "train", TextEncoding())
    assert table["num_words"].tolist() == encoder.model_input.lengths(encoder.encode(texts)).tolist()


def test_rows_show_their_own_columns(tmp_path: Path) -> None:
    import pandas as pd

    columns = {
        "age": np.array([1.0, np.nan]),
        "job": objects("smith", None),
        "label": objects("x", "y"),
        "nothing": objects(None, None),
    }
    table = describe(regression(Table(columns), 2), "train", TabularEncoding())
    assert table["column_label"].tolist() == ["x", "y"]
    assert table["label"].tolist() == [0, 1]
    assert table["num_missing"].tolist() == [1, 3]
    assert table["job"].isna().tolist() == [False, True]
    table.to_parquet(tmp_path / "table.parquet")
    again = pd.read_parquet(tmp_path / "table.parquet")
    assert again["age"].dtype == np.float64
    assert again["job"].isna().tolist() == [False, True]
    assert again["nothing"].isna().all()


def test_series() -> None:
    nan = np.nan
    series = objects(
        np.array([[1, 2], [3, nan]], np.float32), np.full((1, 2), nan, np.float32), np.zeros((0, 2), np.float32)
    )
    table = describe(regression(series, 3), "test", SeriesEncoding())
    assert table["length"].tolist() == [2, 1, 0]
    assert table["num_channels"].tolist() == [2, 2, 2]
    assert table["num_missing"].tolist() == [1, 2, 0]
    assert (table["mean"][0], table["min"][0], table["max"][0]) == (2, 1, 3)
    assert table["std"][0] == pytest.approx(np.std([1, 2, 3]))
    assert table["mean"].isna().tolist() == [False, True, True]
