"""Rows: numbers standardized, missing values flagged, categories as codes, and what a request may not say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from thresher.errors import DataError, InvalidInputError
from thresher.modalities import read_encoder
from thresher.modalities.centering import center, find_swamping
from thresher.modalities.encoder import UnencodableError
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.modalities.tabular.table import Table

NAN = np.nan


def column(*values: Any) -> np.ndarray:
    text = any(isinstance(value, str) or value is None for value in values)
    return np.array(values, dtype=object if text else np.float64)


def table(**columns: tuple[Any, ...]) -> Table:
    return Table({name: column(*values) for name, values in columns.items()})


TRAIN = table(
    age=(20.0, NAN, 40.0, 60.0),
    job=("smith", "clerk", None, "clerk"),
    hours=(1.0, 2.0, 3.0, 6.0),
    town=("A", "B", "A", "A"),
)
ROW = {"age": 40, "job": "clerk", "hours": 3.0, "town": "A"}


def fit(inputs: Table = TRAIN, unseen: Any = "refuse") -> TabularEncoder:
    labels = np.linspace(0, 1, len(inputs))
    return TabularEncoder.fit(Samples(inputs, labels), TabularEncoding(unseen_categories=unseen))


def test_numbers_then_flags_then_codes() -> None:
    encoder = fit()
    assert (encoder.model_input.num_numeric, encoder.model_input.cardinalities) == (3, (4, 3))
    rows = encoder.encode(TRAIN)
    assert (rows.dtype, rows.shape) == (np.float32, (4, 5))
    np.testing.assert_allclose(rows[:, 0], [-1.2247449, 0, 0, 1.2247449], atol=1e-6)
    np.testing.assert_allclose(rows[:, 1].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(rows[:, 1].std(), 1, atol=1e-6)
    assert rows[:, 2].tolist() == [0, 1, 0, 0]
    assert rows[:, 3].tolist() == [2, 1, 3, 1]  # the most frequent first, a missing one is a category
    assert rows[:, 4].tolist() == [1, 2, 1, 1]


@pytest.mark.oddity(
    "Numbers", "a column with one value in training and others later", "no part in any answer; the contract warns of it"
)
def test_a_constant_column_is_zero_for_every_value() -> None:
    encoder = fit(table(a=(0.1, 0.1, 0.1), b=(1.0, 2.0, 3.0)))
    assert encoder.encode(table(a=(0.1, 7e6), b=(2.0, 2.0))).tolist() == [[0, 0], [0, 0]]
    assert encoder.encode_json({"a": 7e6, "b": 2}).tolist() == [[0, 0]]


@pytest.mark.parametrize("unseen", ["refuse", "other"])
def test_what_only_held_out_samples_have_stops_no_run(unseen: str) -> None:
    rows = fit(unseen=unseen).encode(table(age=(40.0,), job=("diver",), hours=(NAN,), town=(None,)))
    assert rows.tolist() == [[0, 0, 0, 0, 0]]


def test_unseen_categories_in_a_request() -> None:
    with pytest.raises(InvalidInputError, match=r"job: 'clark' was not in the training data. Did you mean 'clerk'"):
        fit().encode_json({**ROW, "job": "clark"})
    assert fit(unseen="other").encode_json({**ROW, "job": "clark"})[0, 3] == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hours": None}, "hours: null, but training had no missing value here"),
        ({"town": None}, "town: null, but training had no missing value here. Allowed: A, B."),
        ({"age": "40"}, "age: '40' is not a number"),
        ({"age": True}, "age: True is not a number"),
        ({"age": []}, "age: list of JSON is not a number"),
        ({"job": 3}, "job: '3' was not in the training data"),
        ({"job": [3]}, "job: list of JSON is no text"),
        ({"age": float("inf")}, "age: inf is not finite"),
        ({"age": 1e300}, "not finite or too large"),
        ({"age": 10**400}, "not finite or too large"),
        ({"agee": 3}, "Unknown key 'agee'"),
    ],
)
def test_requests_that_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        fit().encode_json({**ROW, **change})
    assert says in str(caught.value)


def test_all_mistakes_of_a_request_are_told_together() -> None:
    with pytest.raises(InvalidInputError, match=r"Missing: age. Unknown key 'agee'. Did you mean 'age'"):
        fit().encode_json({"agee": 40, "job": "clerk", "hours": 3, "town": "A"})
    with pytest.raises(InvalidInputError, match=r"hours: .* town: "):
        fit().encode_json({**ROW, "hours": "long", "town": "C"})
    with pytest.raises(InvalidInputError, match="A row is an object"):
        fit().encode_json([40, "clerk", 3, "A"])


def test_columns_of_another_type_or_too_large_are_refused_by_their_index() -> None:
    with pytest.raises(UnencodableError, match="hours holds text"):
        fit().encode(table(age=(1.0,), job=("clerk",), hours=("3",), town=("A",)))
    with pytest.raises(UnencodableError, match="town holds numbers"):
        fit().encode(table(age=(1.0,), job=("clerk",), hours=(3.0,), town=(1.0,)))
    with pytest.raises(UnencodableError, match="hours: inf") as caught:
        fit().encode(table(age=(1.0, 1.0), job=("clerk", "clerk"), hours=(3.0, np.inf), town=("A", "A")))
    assert caught.value.index == 1
    with pytest.raises(InvalidInputError, match="Missing: town"):
        fit().encode(Table({name: TRAIN.columns[name] for name in ("age", "job", "hours")}))


def test_a_column_that_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(DataError, match="Column a has no value"):
        fit(table(a=(NAN, NAN), b=(1.0, 2.0)))
    with pytest.raises(DataError, match="sample 1: Column b holds inf"):
        fit(table(a=(1.0, 2.0), b=(1.0, np.inf)))


def test_the_encoder_is_its_json_and_its_example_is_valid() -> None:
    encoder = fit()
    assert read_encoder(encoder.model_dump_json()) == encoder
    assert encoder.example() == {"age": 40.0, "job": "clerk", "hours": 2.5, "town": "A"}
    assert encoder.encode_json(encoder.example()).shape == (1, 5)
    assert encoder.task == "regression"


NUMBERS = st.one_of(st.just(NAN), st.floats(-1e9, 1e9).filter(lambda number: number == 0 or abs(number) > 1e-290))
ROWS = st.tuples(NUMBERS, st.sampled_from(["red", "green", None]))


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=8).filter(lambda rows: any(number == number for number, _ in rows)))
def test_one_by_one_and_together_agree(rows: list[tuple[float, str | None]]) -> None:
    numbers, colours = zip(*rows, strict=True)
    inputs = Table({"n": np.array(numbers), "c": np.array(colours, dtype=object)})
    present = np.array([number for number in numbers if number == number])
    assume(find_swamping(present, *center(present)) is None)
    encoder = fit(inputs)
    together = encoder.encode(inputs)
    assert np.isfinite(together).all()
    for encoded, (number, colour) in zip(together, rows, strict=True):
        alone = encoder.encode_json({"n": None if number != number else number, "c": colour})
        assert alone[0].tolist() == encoded.tolist()
