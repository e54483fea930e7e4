"""ONNX files run and timed against each other, for techniques that choose by what they measure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from thresher.compression.data import CalibrationData

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ROUNDS = 8
"""How often the files take turns, at each batch size."""
SECONDS = 1.0
"""For all files and batch sizes together."""
WARMUP_CALLS = 5
SETTLING_CALLS = 2
"""Of a session before its turn: the first call takes its memory from the system."""
RUN_BATCH = 64
FINE_SECONDS = 1e-6
"""What a clock must tell apart, to say what a single call takes."""


def open_session(onnx_file: bytes, threads: int = 1) -> InferenceSession:
    """Return a session on the CPU as it is evaluated and served."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def run_file(onnx_file: bytes, inputs: np.ndarray, data: CalibrationData) -> np.ndarray:
    """Return the first output of ``onnx_file`` on ``inputs`` [N, ...]."""
    session = open_session(onnx_file)
    starts = range(0, len(inputs), RUN_BATCH)
    return np.concatenate([session.run(None, {data.input.name: inputs[at : at + RUN_BATCH]})[0] for at in starts])


def compare_times(files: Mapping[str, bytes], inputs: np.ndarray, data: CalibrationData) -> dict[str, float]:
    """Return each file's time as a share of the first one's: the geometric mean over the batch sizes.

    They are timed in turns, so that a noisy machine slows all of them; who goes first changes every round. Each round
    is one of new sessions: how a session lies in memory makes some percent for as long as it is open.
    """
    logarithms = [np.log(_shares(files, _batch(inputs, size), data)) for size in data.batch_sizes]
    return dict(zip(files, np.exp(np.mean(logarithms, axis=0)).tolist(), strict=True))


def _batch(inputs: np.ndarray, size: int) -> np.ndarray:
    return inputs[np.arange(size) % len(inputs)]


def _shares(files: Mapping[str, bytes], batch: np.ndarray, data: CalibrationData) -> np.ndarray:
    """Return the median over the rounds of each file's time over the first one's."""
    feed = {data.input.name: data.input.trim(batch)}
    sessions = _open_all(files, data)
    once = sum(_median_seconds(session, feed, WARMUP_CALLS) for session in sessions)
    calls = max(1, int(SECONDS / len(data.batch_sizes) / ROUNDS / once))
    seconds = np.empty((ROUNDS, len(files)))
    for number in range(ROUNDS):
        sessions = _open_all(files, data)  # while the last round's are open, whose memory they would be given again
        for turn in np.roll(np.arange(len(files)), number):
            _median_seconds(sessions[turn], feed, SETTLING_CALLS)
            seconds[number, turn] = _median_seconds(sessions[turn], feed, calls)
    shares: np.ndarray = np.median(seconds / seconds[:, :1], axis=0)
    return shares


def _open_all(files: Mapping[str, bytes], data: CalibrationData) -> list[InferenceSession]:
    return [open_session(file, data.threads) for file in files.values()]


def _median_seconds(session: InferenceSession, feed: dict[str, np.ndarray], calls: int) -> float:
    # Where one thread computes, its own clock leaves out what other work takes of the processor: on a busy machine long
    # calls are interrupted and short ones are not.
    alone = session.get_session_options().intra_op_num_threads == 1
    fine = time.get_clock_info("thread_time").resolution <= FINE_SECONDS
    clock = time.thread_time if alone and fine else time.perf_counter
    taken = []
    for _ in range(calls):
        began = clock()
        session.run(None, feed)
        taken.append(clock() - began)
    return float(np.median(taken))
