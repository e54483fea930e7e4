"""Train and test must speak of the same thing; where they do not, it is said before anything is described."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.modalities.split_compatibility import require_agreement
from thresher.modalities.tabular.table import Table


def classified(inputs: Any, names: tuple[str, ...] = ("no", "yes")) -> Samples:
    places = np.array([f"rows.csv:{row + 2}" for row in range(len(inputs))], dtype=object)
    return Samples(inputs, np.arange(len(inputs)) % 2, names, places)


def texts(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


NUMBERS = np.array([1.0, 2.0, np.nan])
ROWS = classified(Table({"age": NUMBERS, "job": texts("a", "b", None)}))


def refusal(train: Samples, test: Samples) -> str:
    with pytest.raises(DataError) as caught:
        require_agreement(train, test)
    return str(caught.value)


def test_alike_splits_agree() -> None:
    require_agreement(ROWS, ROWS.take(np.array([1])))
    require_agreement(ROWS.take(np.array([0, 1])), ROWS)
    images = classified(np.zeros((2, 1, 3, 3), np.uint8))
    require_agreement(images, images)


def test_other_tasks_and_classes() -> None:
    numbers = Samples(ROWS.inputs, np.zeros(3))
    assert "labels of train are for classification, those of test for regression" in refusal(ROWS, numbers)
    assert "of test: yes, no" in refusal(ROWS, classified(ROWS.inputs, ("yes", "no")))


def test_missing_and_unknown_columns() -> None:
    text = refusal(ROWS, classified(Table({"agee": NUMBERS, "job": texts("a", "b", "c")})))
    assert "Columns missing in test: age." in text
    assert "Column 'agee' of test is not in train. Did you mean 'age'?" in text


def test_a_column_of_another_type_names_the_rows_that_are_no_numbers() -> None:
    dirty = classified(Table({"age": texts("1", "two", "?"), "job": texts("a", "b", "c")}))
    text = refusal(ROWS, dirty)
    assert "Column 'age' holds numbers in train, but text in test: 'two' at rows.csv:3, '?' at rows.csv:4." in text
    assert "holds numbers in test, but text in train: 'two' at rows.csv:3" in refusal(dirty, ROWS)


def test_other_shapes_and_channels() -> None:
    big, small = (classified(np.zeros((2, 1, size, 3), np.uint8)) for size in (4, 3))
    assert "Images of train: [1, 4, 3]; of test: [1, 3, 3]" in refusal(big, small)
    series = [np.empty(2, dtype=object) for _ in range(2)]
    for channels, inputs in enumerate(series, start=1):
        inputs[:] = [np.zeros((3, channels), np.float32)] * 2 if channels > 1 else [np.zeros((3, 1), np.float32), None]
    assert "Series of train have 1 channels; of test 2" in refusal(classified(series[0][:1]), classified(series[1]))


@pytest.mark.oddity(
    "Splits and contracts", "a reader of the user's own that gives no samples", "an error that names the split"
)
def test_a_split_without_samples_is_refused() -> None:
    nothing = ROWS.take(np.array([], dtype=np.int64))
    assert "The test data holds no samples. Fix: " in refusal(ROWS, nothing)
    assert "The train data holds no samples. Fix: " in refusal(nothing, ROWS)


def test_channels_have_one_name_each_in_one_order() -> None:
    series = np.empty(2, dtype=object)
    series[:] = [np.zeros((3, 2)), np.zeros((4, 2))]
    train, other, twice = (
        Samples(series, np.array([0, 1]), ("no", "yes"), channel_names=names)
        for names in (("current", "warmth"), ("warmth", "current"), ("warmth", "warmth"))
    )
    require_agreement(train, train)
    assert "Channels of train: current, warmth; of test: warmth, current." in refusal(train, other)
    assert "Two channels of train are called 'warmth'." in refusal(twice, twice)
