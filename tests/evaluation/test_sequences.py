"""Samples of different lengths: none is answered otherwise for the company it is in, and none waits for the longest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.tiny_onnx import make_sum_onnx

from thresher.evaluation import Measurement, runtime
from thresher.evaluation.latency import Timed, measure_latency
from thresher.evaluation.runtime import open_session, predict
from thresher.modalities.model_input import ModelInput
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.text.model_input import TextInput

TEXT = TextInput(vocabulary_size=50, max_length=40)
SERIES = SeriesInput(channels=2, max_length=40, mean=(0.0, 0.0), std=(1.0, 1.0))
BOTH = pytest.mark.parametrize("model_input", [TEXT, SERIES], ids=["text", "series"])
LENGTHS = np.random.default_rng(0).integers(1, 30, 600)


def make_samples(model_input: ModelInput) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    if isinstance(model_input, TextInput):
        return [random.integers(1, 50, (1, length)) for length in LENGTHS]
    return [random.normal(size=(1, length, 2)) for length in LENGTHS]


@BOTH
def test_joined_samples_are_padded_to_the_longest_and_know_their_lengths(model_input: ModelInput) -> None:
    samples = make_samples(model_input)
    joined = model_input.join(samples)
    assert (joined.shape[:2], joined.dtype) == ((600, LENGTHS.max()), model_input.dtype)
    np.testing.assert_array_equal(model_input.lengths(joined), LENGTHS)
    for index in (0, 7, 599):
        np.testing.assert_array_equal(model_input.trim(joined[index : index + 1]), samples[index])
    np.testing.assert_array_equal(model_input.join([joined[:100], model_input.trim(joined[100:])]), joined)
    assert model_input.join([joined]) is joined


def test_padding_inside_a_sample_is_no_end() -> None:
    series = np.array([[[1, np.nan], [np.nan, np.nan], [3, 4], [np.nan, np.nan]]], np.float32)
    assert SERIES.lengths(series).tolist() == [3]
    assert TEXT.lengths(np.array([[0, 0], [0, 3], [1, 0]])).tolist() == [0, 2, 1]


@BOTH
def test_answers_stand_in_the_order_of_the_samples(model_input: ModelInput) -> None:
    samples = make_samples(model_input)
    session = open_session(make_sum_onnx(model_input), threads=1)
    answers = predict(session, model_input.join(samples), model_input)
    expected = [1e-3 * sample.astype(np.float64).sum() for sample in samples]
    np.testing.assert_allclose(answers[:, 0], expected, atol=1e-5)


class Recorded:
    """A session that notes the lengths that it is called with."""

    def __init__(self, session: Any, lengths: list[int]) -> None:
        self.session, self.lengths = session, lengths

    def run(self, names: None, feed: dict[str, np.ndarray]) -> Any:
        (batch,) = feed.values()
        self.lengths.append(batch.shape[1])
        return self.session.run(names, feed)


@BOTH
def test_short_samples_do_not_wait_for_long_ones(model_input: ModelInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PREDICTION_BATCH", 100)
    lengths: list[int] = []
    session: Any = Recorded(open_session(make_sum_onnx(model_input), threads=1), lengths)
    predict(session, model_input.join(make_samples(model_input)), model_input)
    assert lengths == sorted(lengths)
    assert lengths[0] < 10
    assert lengths[-1] == LENGTHS.max()


@BOTH
def test_latency_is_that_of_real_lengths_from_all_over_the_test_split(
    model_input: ModelInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    monkeypatch.setattr(
        "thresher.evaluation.latency.open_session",
        lambda onnx_file, threads: Recorded(open_session(onnx_file, threads), lengths),
    )
    ours = Timed(make_sum_onnx(model_input), model_input.join(make_samples(model_input)), model_input)
    (result,) = measure_latency(ours, ours, Measurement(rounds=20, seconds=0.01, batch_sizes=(1,)))
    assert set(lengths) == set(LENGTHS[np.arange(20) * 600 // 20])
    assert (result.batch_size, len(result.round_ratios)) == (1, 20)


def test_models_with_encoders_of_their_own_are_timed_on_the_same_samples() -> None:
    inputs = TEXT.join(make_samples(TEXT))
    series = np.zeros((600, 5, 2))
    ours, theirs = Timed(make_sum_onnx(TEXT), inputs, TEXT), Timed(make_sum_onnx(SERIES), series, SERIES)
    results = measure_latency(ours, theirs, Measurement(rounds=10, seconds=0.01, batch_sizes=(1, 700)))
    assert [result.batch_size for result in results] == [1, 700]
