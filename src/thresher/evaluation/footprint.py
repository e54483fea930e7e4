"""What a session takes before it answers: the time to open it, and memory at the peak."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from thresher.config import Config
from thresher.errors import CompressionError
from thresher.evaluation import Measurement
from thresher.evaluation.calls import CallTimes, has_fine_clock, time_calls, turns, waited_share
from thresher.evaluation.latency import QUIET, Timed
from thresher.evaluation.runtime import INPUTS_FILE, MODEL_FILE, open_session, run_for_memory

LOAD_ROUNDS = (5, 21)
"""The fewest and the most rounds in which loading is timed."""
LOAD_SECONDS = 0.5
"""How long rounds go on beyond the fewest."""
TIMEOUT_SECONDS = 600
_FAILED = "Peak memory could not be measured: the process that runs the model"


class Footprint(Config):
    """Load time and peak memory of one model, beside the reference's."""

    peak_memory_bytes: int
    """The memory that a process with one session holds above one without, in bytes, at the largest batch."""
    reference_peak_memory_bytes: int
    load_ms: float
    """Median time to open a session on a file that is in memory already."""
    reference_load_ms: float
    load_ratios: tuple[float, ...]
    """Time of the model over that of the reference, a round."""

    @property
    def load_ratio(self) -> float:
        """The median over the rounds."""
        return float(np.median(self.load_ratios))


def measure_footprint(model: Timed, reference: Timed, config: Measurement) -> Footprint:
    """Return what a session on ``model`` takes, and one on ``reference``.

    Raises:
        CompressionError: the process that runs a model to measure its memory fails.
    """
    alone = model.onnx_file == reference.onnx_file
    memory = measure_memory([model] if alone else [model, reference], config)
    seconds = _time_loading((model.onnx_file, reference.onnx_file), config.threads)
    load_ms, reference_load_ms = 1e3 * np.median(seconds, axis=0)
    return Footprint(
        peak_memory_bytes=memory[0],
        reference_peak_memory_bytes=memory[-1],
        load_ms=float(load_ms),
        reference_load_ms=float(reference_load_ms),
        load_ratios=tuple(seconds[:, 0] / seconds[:, 1]),
    )


def measure_memory(models: Sequence[Timed], config: Measurement) -> list[int]:
    """Return the bytes that a session on each of ``models`` takes at its peak, each in a process of its own.

    It runs the largest batch size of ``config``, on the longest samples.

    Raises:
        CompressionError: such a process fails.
    """
    # At once: what one holds does not depend on what another does meanwhile.
    with ThreadPoolExecutor(len(models)) as pool:
        return list(pool.map(lambda model: _run_apart(model, config), models))


def _run_apart(model: Timed, config: Measurement) -> int:
    with TemporaryDirectory(prefix="thresher-memory-") as folder:
        (Path(folder) / MODEL_FILE).write_bytes(model.onnx_file)
        np.save(Path(folder) / INPUTS_FILE, longest_batch(model, max(config.batch_sizes)), allow_pickle=False)
        # -P, since beside the program lie modules that have names of the standard library's.
        command = [sys.executable, "-P", inspect.getfile(run_for_memory), folder, str(config.threads)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise CompressionError(f"{_FAILED} took more than {TIMEOUT_SECONDS} s.") from error
    if done.returncode != 0:
        raise CompressionError(f"{_FAILED} {_describe_end(done)}")
    return int(done.stdout)


def _describe_end(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == -signal.SIGKILL:
        return "was killed, as the system does where memory runs out. Give it more, or lower evaluation.batch_sizes."
    said = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
    return f"failed: {said[-1]}"


def longest_batch(model: Timed, size: int) -> np.ndarray:
    """Return the ``size`` longest samples without the padding that none needs; some twice where there are too few."""
    order = np.argsort(-model.model_input.lengths(model.inputs), kind="stable")
    return model.model_input.trim(model.inputs[np.resize(order, size)])


def _time_loading(files: tuple[bytes, bytes], threads: int) -> np.ndarray:
    """Return the seconds that it takes to open a session on each of ``files``, in turns [rounds, 2].

    One thread does it, so that its own clock counts where other work had the processor meanwhile.
    """
    least, most = LOAD_ROUNDS
    began = time.perf_counter()
    for file in files:
        open_session(file, threads)
    pair_seconds = time.perf_counter() - began
    made: tuple[list[CallTimes], list[CallTimes]] = ([], [])
    for number in range(min(most, max(least, int(LOAD_SECONDS / pair_seconds)))):
        for turn in turns(number):
            made[turn].append(_time_opening(files[turn], threads))
    return load_seconds(made)


def load_seconds(made: tuple[list[CallTimes], list[CallTimes]]) -> np.ndarray:
    """Return the seconds [rounds, 2] of two files' openings, of one call each, without waits for a processor."""
    wall = np.array([[turn.wall[0] for turn in calls] for calls in made]).T
    if max(waited_share(calls) for calls in made) <= QUIET or not has_fine_clock():
        return wall
    computed = np.array([[turn.computed[0] for turn in calls] for calls in made]).T
    seconds: np.ndarray = np.minimum(computed, wall)
    return seconds


def _time_opening(onnx_file: bytes, threads: int) -> CallTimes:
    sessions: list[object] = []  # so that it is closed after the clocks were read
    return time_calls(lambda: sessions.append(open_session(onnx_file, threads)), 1)
