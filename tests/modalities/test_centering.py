"""Mean and deviation of what a file may hold."""

from __future__ import annotations

import numpy as np
import pytest

from thresher.errors import DataError
from thresher.modalities import encode
from thresher.modalities.centering import LARGEST_NUMBER, center
from thresher.modalities.outputs import output_of
from thresher.modalities.samples import Samples
from thresher.modalities.series.encoder import SeriesEncoder, SeriesEncoding
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.modalities.tabular.table import Table

STEPS = np.arange(101.0)
PLACES = np.array([f"table.csv:{row}" for row in range(2, 5)], object)


@pytest.mark.parametrize("scale", [1e-280, 1e-30, 1.0, 1e30, 1e97])
def test_scale_is_followed(scale: float) -> None:
    mean, std = center(STEPS * scale)
    np.testing.assert_allclose((mean / scale, std / scale), (50, STEPS.std()), rtol=1e-12)


@pytest.mark.parametrize("offset", [1.7e9, -1.7e12, 1e15])
def test_an_offset_changes_no_deviation(offset: float) -> None:
    mean, std = center(STEPS + offset)
    assert mean - offset == pytest.approx(50, abs=0.2)
    assert std == pytest.approx(STEPS.std(), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -1.7e9, 1e100, 1e-310])
def test_equal_values_are_left_at_their_scale(value: float) -> None:
    assert center(np.full(1001, value)) == (value, 1.0)  # a sum of 0.1 is not the number times 0.1


def test_values_that_hardly_differ_are_said() -> None:
    with pytest.raises(ValueError, match="differ by less than 1e-300"):
        center(np.array([0.0, 1e-310]))


@pytest.mark.oddity("Numbers", "labels of 1e-200 apart, whose squares are 0", "an error that asks for another unit")
def test_labels_too_near_for_squares_of_their_errors_are_said() -> None:
    with pytest.raises(DataError, match=r"deviation of 5e-201: .*Allowed: 1e-140 and more\. Fix: another unit"):
        output_of(Samples(np.zeros((2, 1)), np.array([0.0, 1e-200]), (), PLACES))
    assert output_of(Samples(np.zeros((2, 1)), np.array([0.0, 1e-139]), (), PLACES)).kind == "regression"


def series(*values: list[float]) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = [np.array(steps)[:, None] for steps in values]
    return made


@pytest.mark.oddity("Numbers", "1e200, 1e300 or infinity in a table, a series or a label", "an error with file and row")
@pytest.mark.parametrize("value", [1e200, 1e300, -1e300, np.inf])
def test_numbers_too_large_to_compute_with_are_named_with_their_place(value: float) -> None:
    numbers = np.array([1.0, 2.0, value])
    allowed = f"finite numbers up to {LARGEST_NUMBER:g}"
    with pytest.raises(DataError, match=r"table.csv:4: the label is .*Allowed") as caught:
        output_of(Samples(np.zeros((3, 1)), numbers, (), PLACES))
    assert allowed in str(caught.value)
    labels = np.zeros(3)
    with pytest.raises(DataError, match=r"table.csv:4: Column price holds .*Allowed") as caught:
        TabularEncoder.fit(Samples(Table({"price": numbers}), labels, (), PLACES), TabularEncoding())
    assert allowed in str(caught.value)
    inputs = series([1.0], [2.0, 3.0], [0.0, value])
    with pytest.raises(DataError, match=r"table.csv:4: channel 0 holds .*Allowed") as caught:
        SeriesEncoder.fit(Samples(inputs, labels, (), PLACES), SeriesEncoding())
    assert allowed in str(caught.value)


@pytest.mark.parametrize("value", [1e200, 1e300, np.inf])
def test_test_samples_that_are_too_large_are_named_with_their_place(value: float) -> None:
    labels = np.zeros(3)
    rows = TabularEncoder.fit(Samples(Table({"price": np.arange(3.0)}), labels), TabularEncoding())
    with pytest.raises(DataError, match=r"table.csv:3: price: .* is not finite or too large"):
        encode(rows, Samples(Table({"price": np.array([1.0, value, 0.0])}), labels, (), PLACES))
    walks = SeriesEncoder.fit(Samples(series([1.0, 2.0]), labels[:1]), SeriesEncoding())
    with pytest.raises(DataError, match=r"table.csv:3: An infinite or too large number at step 1"):
        encode(walks, Samples(series([1.0], [2.0, value], [3.0]), labels, (), PLACES))
    with pytest.raises(DataError, match=r"table.csv:3: the label is"):
        encode(walks, Samples(series([1.0], [2.0], [3.0]), np.array([0.0, value, 1.0]), (), PLACES))
