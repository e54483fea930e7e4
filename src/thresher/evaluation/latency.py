"""Latency against a reference: both models take turns in one process, so that a noisy machine slows both.

Every round is one of two new sessions. How a session happens to lie in memory makes the same file up to some 2 % faster
or slower for as long as it is open; within one pair of sessions that would be taken for a difference of the models.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime

from thresher.config import Config
from thresher.evaluation import Measurement
from thresher.evaluation.energy import EnergyMeter, EnergyUse, find_meter
from thresher.evaluation.runtime import open_session
from thresher.modalities.inputs import ModelInput

WARMUP_CALLS = 20
"""Before the first round, from which the calls of a turn are counted."""
SETTLING_CALLS = 2
"""Of a session before its turn: the first call takes its memory from the system."""
MIN_CALLS_A_ROUND = 5
TimeCalls = Callable[[np.ndarray, int], np.ndarray]
"""From places in the test split [B] and a number of calls to seconds [calls]."""
_Pair = tuple[TimeCalls, TimeCalls]
"""The model's, and the reference's."""


class Latency(Config):
    """Of one model at one batch size, beside the reference measured in the same rounds. All in milliseconds."""

    batch_size: int
    p50: float
    p90: float
    p99: float
    reference_p50: float
    num_calls: int
    round_ratios: tuple[float, ...]
    """Median of the model over median of the reference, a round, each in new sessions; below 1 is faster."""
    energy: EnergyUse | None = None
    """Of a sample; None where the machine has no counter that can be read."""

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return float(np.median(self.round_ratios))


@dataclass(frozen=True)
class Timed:
    """A model to time.

    Attributes:
        inputs: real samples [N, ...] as its own encoder makes them.
        model_input: what they are.
    """

    onnx_file: bytes
    inputs: np.ndarray
    model_input: ModelInput

    def open(self, threads: int) -> TimeCalls:
        """Return what runs the model on chosen samples, without the padding that none of them needs."""
        session = open_session(self.onnx_file, threads)

        def time_calls(places: np.ndarray, calls: int) -> np.ndarray:
            return _time_calls(session, {self.model_input.name: self.model_input.trim(self.inputs[places])}, calls)

        return time_calls


def measure_latency(
    model: Timed, reference: Timed, config: Measurement, meter: EnergyMeter | None = None
) -> tuple[Latency, ...]:
    """Time ``model`` against ``reference`` at each batch size of ``config``, both on the same samples.

    Each round has sessions of its own, so that the rounds differ by as much as another measurement would from this one.

    Args:
        meter: of energy; this machine's own where it is not given.
    """
    assert len(model.inputs) == len(reference.inputs)
    models, meter = (model, reference), meter or find_meter()
    pair = _open_pair(models, 0, config)
    timings = [_Timing(size, _calls_a_round(pair, len(model.inputs), size, config)) for size in config.batch_sizes]
    for number in range(config.rounds):
        # The pair of the last round is closed after this one is open: it would be given the same memory again.
        pair = _open_pair(models, number, config)
        for timing in timings:
            timing.add_round(pair, number, places_of(number, len(model.inputs), timing.size, config.rounds), meter)
    return tuple(timing.result() for timing in timings)


def _open_pair(models: tuple[Timed, Timed], number: int, config: Measurement) -> _Pair:
    # Who is opened first changes half as often as who runs first, so that neither always goes with the other.
    opened = {turn: models[turn].open(config.threads) for turn in turns(number // 2)}
    return opened[0], opened[1]


class _Timing:
    """The rounds of two models at one batch size."""

    def __init__(self, size: int, calls: int) -> None:
        self.size, self._calls = size, calls
        self._seconds: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        self._joules = [0.0, 0.0]

    def add_round(self, pair: _Pair, number: int, places: np.ndarray, meter: EnergyMeter) -> None:
        """Let each of ``pair`` have its turn on the samples at ``places``."""
        for turn in turns(number):
            pair[turn](places, SETTLING_CALLS)
            before = meter.read()
            self._seconds[turn].append(pair[turn](places, self._calls))
            self._joules[turn] += meter.joules_since(before)

    def result(self) -> Latency:
        """Return the figures of all rounds so far."""
        model, reference = (np.stack(seconds) * 1e3 for seconds in self._seconds)
        return Latency(
            batch_size=self.size,
            p50=float(np.median(model)),
            p90=float(np.quantile(model, 0.9)),
            p99=float(np.quantile(model, 0.99)),
            reference_p50=float(np.median(reference)),
            num_calls=model.size,
            round_ratios=tuple(np.median(model, axis=1) / np.median(reference, axis=1)),
            energy=_energy(self._joules, model.size * self.size),
        )


def _energy(joules: list[float], num_samples: int) -> EnergyUse | None:
    """Return the joules of a sample; None where the counters stood still, as in a virtual machine, or are none."""
    if 0 in joules:
        return None
    return EnergyUse(joules=joules[0] / num_samples, reference_joules=joules[1] / num_samples)


def turns(number: int) -> tuple[int, int]:
    """Return the order of two models in the round ``number``: whatever the first turn costs falls on both alike."""
    return (0, 1) if number % 2 == 0 else (1, 0)


def places_of(number: int, num_samples: int, size: int, rounds: int) -> np.ndarray:
    """Return which samples the round ``number`` takes, int64 [size].

    The rounds begin all over the test split, since samples that stand together may be alike in length.
    """
    places: np.ndarray = (number * num_samples // rounds + np.arange(size)) % num_samples
    return places


def _calls_a_round(pair: _Pair, num_samples: int, size: int, config: Measurement) -> int:
    """Warm up, and return how many calls a turn fill the time that was given."""
    middle = places_of(config.rounds // 2, num_samples, size, config.rounds)
    seconds_a_pair = sum(float(np.median(time_calls(middle, WARMUP_CALLS))) for time_calls in pair)
    return max(MIN_CALLS_A_ROUND, int(config.seconds / config.rounds / seconds_a_pair))


def _time_calls(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray], calls: int) -> np.ndarray:
    seconds = np.empty(calls)
    for call in range(calls):
        began = time.perf_counter()
        session.run(None, feed)
        seconds[call] = time.perf_counter() - began
    return seconds
