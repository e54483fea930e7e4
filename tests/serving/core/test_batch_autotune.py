"""How batches are to be run follows from what the model takes."""

from __future__ import annotations

import time

import numpy as np

from thresher.serving.core.autotune import measure_pace


def make_batch(count: int) -> np.ndarray:
    return np.zeros((count, 1))


def test_a_model_quicker_than_a_thread_runs_on_the_event_loop() -> None:
    pace = measure_pace(lambda samples: samples, make_batch, 64, 10.0)
    assert pace.inline
    assert pace.max_batch_size == 64


def test_a_slow_model_runs_beside_it_in_batches_that_keep_the_time() -> None:
    def run(samples: np.ndarray) -> np.ndarray:
        time.sleep(0.004 * len(samples))
        return samples

    pace = measure_pace(run, make_batch, 64, 0.03)
    assert not pace.inline
    assert 4 <= pace.max_batch_size <= 7  # 30 ms are enough for 7 samples, were the clock exact
    assert pace.seconds_one >= 0.004


def test_a_model_that_cannot_keep_the_time_takes_one_sample_at_a_time() -> None:
    def run(samples: np.ndarray) -> np.ndarray:
        time.sleep(0.002 * len(samples))
        return samples

    assert measure_pace(run, make_batch, 64, 0.0001).max_batch_size == 1


def test_no_batch_is_larger_than_the_recipe_says() -> None:
    assert measure_pace(lambda samples: samples, make_batch, 5, 10.0).max_batch_size == 5
    assert measure_pace(lambda samples: samples, make_batch, 1, 10.0).max_batch_size == 1


def test_batches_are_no_larger_than_what_is_fastest() -> None:
    def run(samples: np.ndarray) -> np.ndarray:
        time.sleep(0.004 + 0.001 * len(samples) + 0.004 * max(0, len(samples) - 8))
        return samples

    assert measure_pace(run, make_batch, 64, 10.0).max_batch_size == 8
