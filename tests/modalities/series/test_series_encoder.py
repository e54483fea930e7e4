"""Series of any length: padded, interpolated where values are missing, never cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.errors import DataError, InvalidInputError
from thresher.modalities import read_encoder
from thresher.modalities.encoder import UnencodableError
from thresher.modalities.samples import Samples
from thresher.modalities.series.encoder import SeriesEncoder, SeriesEncoding

NAN = np.nan


def of(*series: Any) -> np.ndarray:
    """Return one series for each list of steps; a step that is no list has one channel."""
    inputs = np.empty(len(series), dtype=object)
    for index, steps in enumerate(series):
        array = np.array(steps, dtype=np.float64)
        inputs[index] = array[:, None] if array.ndim == 1 else array
    return inputs


def fit(*series: Any, **options: Any) -> SeriesEncoder:
    inputs = of(*series)
    return SeriesEncoder.fit(Samples(inputs, np.linspace(0, 1, len(inputs))), SeriesEncoding(**options))


TWO = fit([[1, 10], [3, 30]], [[2, 20]], [[1, 20], [3, 10], [2, 30]])
ONE = fit([1, 2, 3, 4], [5])


def test_shorter_series_end_with_nan() -> None:
    encoded = TWO.encode(of([[1, 2]], [[1, 2], [3, 4]]))
    assert (encoded.dtype, encoded.shape) == (np.float64, (2, 2, 2))
    assert np.isnan(encoded[0, 1]).all()
    assert not np.isnan(encoded[1]).any()
    assert TWO.model_input.lengths(encoded).tolist() == [1, 2]


def test_the_model_normalizes_by_the_training_split() -> None:
    assert TWO.model_input.mean == (2.0, 20.0)
    np.testing.assert_allclose(TWO.model_input.std, [np.sqrt(4 / 6), 10 * np.sqrt(4 / 6)])
    assert fit([3, 3], [3]).std == (1.0,)


def test_missing_values_are_interpolated_within_their_channel() -> None:
    encoded = TWO.encode(of([[NAN, 10], [2, NAN], [NAN, NAN], [5, 40], [NAN, 50]]))
    assert encoded[0, :, 0].tolist() == [2, 2, 3.5, 5, 5]
    assert encoded[0, :, 1].tolist() == [10, 20, 30, 40, 50]
    assert TWO.encode_json([[1, 2], [None, 4], [3, 6]])[0].tolist() == [[1, 2], [2, 4], [3, 6]]


@pytest.mark.oddity(
    "Service", "1e300 or infinity in a series, in JSON or as a binary tensor", "a sentence, and no answer"
)
@pytest.mark.parametrize("number", [1e40, 1e300, -1e300, np.inf])
def test_a_tensor_too_far_from_training_is_refused(number: float) -> None:
    with pytest.raises(InvalidInputError, match="infinity given, or a number too far from those of training"):
        TWO.model_input.check_values(np.array([[[1.0, number]]]))
    TWO.model_input.check_values(np.array([[[1.0, 1e30], [NAN, NAN]]]))


def test_missing_values_can_be_refused() -> None:
    strict = fit([1, 2, 3], missing="refuse")
    with pytest.raises(UnencodableError, match="A missing value at step 1") as caught:
        strict.encode(of([1], [1, NAN]))
    assert caught.value.index == 1


def test_series_may_be_longer_than_in_training_but_not_without_end() -> None:
    assert ONE.max_length == 8
    assert ONE.encode(of([1] * 8)).shape == (1, 8, 1)
    with pytest.raises(UnencodableError, match="Series of 9 steps, but 1 to 8 are allowed"):
        ONE.encode(of([1], [1] * 9))
    assert fit([1, 2], max_length=2).max_length == 2
    with pytest.raises(DataError, match=r"sample 1: 3 steps, but data.encoding.max_length is 2. Fix: at least 3"):
        fit([1], [1, 2, 3], max_length=2)


@pytest.mark.parametrize(
    ("series", "says"),
    [
        ([[1, 2, 3]], "not steps x 2 channels"),
        (np.zeros((0, 2)), "Series of 0 steps"),
        ([[1, np.inf]], "infinite or too large number at step 0"),
        ([[1, NAN], [2, NAN]], "Channel 1 has no value"),
    ],
)
def test_series_that_cannot_be_encoded(series: Any, says: str) -> None:
    with pytest.raises(UnencodableError, match=says) as caught:
        TWO.encode(of([[1, 1]], series))
    assert caught.value.index == 1


@pytest.mark.parametrize(
    "value", [None, 3, "1,2", [], {}, [1, 2], [[1, 2], 3], [[1, "2"]], [[1, True]], [[1]], [[1, 1e40]], [[1, 1e300]]]
)
def test_json_that_is_no_series_of_two_channels(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="Expected a list of 1 to 6 steps, each a list of 2 numbers"):
        TWO.encode_json(value)


def test_numbers_beyond_any_float_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="too large"):
        ONE.encode_json([1, 10**400])


def test_one_channel_needs_no_list_for_each_step() -> None:
    assert ONE.encode_json([1, 2]).tolist() == ONE.encode_json([[1], [2]]).tolist()


def test_a_channel_without_a_value_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match="Channel 1 has no value"):
        fit([[1, NAN], [2, NAN]])


@pytest.mark.parametrize("encoder", [ONE, TWO], ids=["one channel", "two channels"])
def test_the_encoder_is_its_json_and_its_example_is_valid(encoder: SeriesEncoder) -> None:
    assert read_encoder(encoder.model_dump_json()) == encoder
    assert encoder.encode_json(encoder.example()).shape == (1, encoder.typical_length, encoder.channels)


VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(VALUES, min_size=1, max_size=8), min_size=1, max_size=5))
def test_one_by_one_and_together_agree(series: list[list[float | None]]) -> None:
    try:
        together = ONE.encode(of(*([NAN if value is None else value for value in steps] for steps in series)))
    except UnencodableError as error:
        with pytest.raises(InvalidInputError):
            ONE.encode_json(series[error.index])
        return
    for encoded, steps in zip(together, series, strict=True):
        np.testing.assert_array_equal(ONE.encode_json(steps)[0], encoded[: len(steps)])
        assert np.isnan(encoded[len(steps) :]).all()
