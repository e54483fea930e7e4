"""Latency against a reference: both models take turns in one process, so that a noisy machine slows both."""

from __future__ import annotations

import time

import numpy as np
import onnxruntime

from thresher.config import Config
from thresher.evaluation import Measurement
from thresher.evaluation.runtime import open_session

WARMUP_CALLS = 20
MIN_CALLS_A_ROUND = 5


class Latency(Config):
    """Of one model at one batch size, beside the reference measured in the same rounds. All in milliseconds."""

    batch_size: int
    p50: float
    p99: float
    reference_p50: float
    num_calls: int
    round_ratios: tuple[float, ...]
    """Median of the model over median of the reference, a round; below 1 is faster."""

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return float(np.median(self.round_ratios))


def measure_latency(model: bytes, reference: bytes, inputs: np.ndarray, config: Measurement) -> tuple[Latency, ...]:
    """Time the ONNX file ``model`` against ``reference`` at each batch size of ``config``.

    Args:
        inputs: real samples [N, ...]; repeated where a batch is larger.
    """
    sessions = (open_session(model, config.threads), open_session(reference, config.threads))
    return tuple(_measure_batch(sessions, np.resize(inputs, (size, *inputs.shape[1:])), config)
                 for size in config.batch_sizes)  # fmt: skip


def _measure_batch(
    sessions: tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession], batch: np.ndarray, config: Measurement
) -> Latency:
    calls = _calls_a_round(sessions, batch, config)
    times: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for number in range(config.rounds):
        # Who goes first changes every round: whatever the first turn costs falls on both alike.
        for turn in (0, 1) if number % 2 == 0 else (1, 0):
            times[turn].append(_time_calls(sessions[turn], batch, calls))
    model, reference = np.stack(times[0]) * 1e3, np.stack(times[1]) * 1e3
    return Latency(
        batch_size=len(batch),
        p50=float(np.median(model)),
        p99=float(np.quantile(model, 0.99)),
        reference_p50=float(np.median(reference)),
        num_calls=model.size,
        round_ratios=tuple(np.median(model, axis=1) / np.median(reference, axis=1)),
    )


def _calls_a_round(sessions: tuple[onnxruntime.InferenceSession, ...], batch: np.ndarray, config: Measurement) -> int:
    """Warm up, and return how many calls a turn fill the time that was given."""
    seconds_a_pair = sum(float(np.median(_time_calls(session, batch, WARMUP_CALLS))) for session in sessions)
    return max(MIN_CALLS_A_ROUND, int(config.seconds / config.rounds / seconds_a_pair))


def _time_calls(session: onnxruntime.InferenceSession, batch: np.ndarray, calls: int) -> np.ndarray:
    feed, seconds = {session.get_inputs()[0].name: batch}, np.empty(calls)
    for call in range(calls):
        began = time.perf_counter()
        session.run(None, feed)
        seconds[call] = time.perf_counter() - began
    return seconds
