"""Latency against a reference: both models take turns in one process, so that a noisy machine slows both.

On a busy machine that is not enough: see `thresher.evaluation.calls`. Where calls waited for a processor, what counts
is the time that they had one (of a session with one thread), or the calls that nothing interrupted (with more), and
the bounds are wider. Where neither tells, there is no figure but a reason.

Every round is one of two new sessions. How a session happens to lie in memory makes the same file up to some 2 % faster
or slower for as long as it is open; within one pair of sessions that would look like a difference of the models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from thresher.config import Config
from thresher.evaluation import Measurement
from thresher.evaluation.calls import (
    CallTimes,
    StolenTime,
    has_fine_clock,
    interrupted_share,
    median_seconds,
    places_of,
    time_calls,
    turns,
    waited_share,
)
from thresher.evaluation.energy import EnergyMeter, EnergyUse, find_meter
from thresher.evaluation.runtime import open_session
from thresher.evaluation.statistics import Interval, median_interval
from thresher.events import Step, emit
from thresher.modalities.model_input import ModelInput

WARMUP_CALLS = 20
"""Calls before the first round, which tell how many calls fill a turn."""
SETTLING_CALLS = 2
"""Calls of a session before its turn is timed: the first one takes its memory from the system."""
MIN_CALLS_A_ROUND = 3
"""The fewest timed calls of a turn: of a slow model, rounds are short, and tell the noise all the same."""
QUIET = 0.005
"""Share of its time that a call may wait for a processor on a machine that is called idle."""
RESOLUTION = 0.025
"""How far two measurements of one pair on an idle machine lie apart, besides what their rounds say. On a virtual
machine the intervals of 30 measurements of two pairs all hold the ratio with it, and 22 with 0.005."""
COLD_CACHES = 0.5
"""By how much the ratio may be wrong, in parts of the share of time that calls waited: caches are cold after each wait.
Measured beside other processes: up to 0.44 of the share; `benchmarks/busy_machine.py` measures it anew."""
STOLEN, TOO_MUCH_STOLEN = 0.01, 0.2
"""Share of the processors' work that a host takes, from which it counts, and from which no figure is given."""
TOO_LONG_WAITS = 0.1
"""Share of the time that calls may wait where no clock takes it off."""
MIN_CALLS_ALONE = 3
"""The fewest calls of a turn without interruption; a round with fewer is repeated if sessions have several threads."""
SPARE_CALLS = 2
"""Calls of a turn besides these if sessions have several threads, so that one interruption does not cost the round."""
MIN_ROUNDS = 10
PATIENCE_SECONDS = 20.0
"""How long rounds are repeated, with the pauses before them."""
PAUSE_SECONDS = 0.2
TimeCalls = Callable[[np.ndarray, int], CallTimes]
"""Times so many calls on the samples at these places [B] of the test split."""
_Pair = tuple[TimeCalls, TimeCalls]
"""What times the model, and what times the reference."""


class Latency(Config):
    """How long one model takes at one batch size, beside the reference measured in the same rounds. In milliseconds."""

    batch_size: int
    p50: float
    p90: float
    p99: float
    reference_p50: float
    num_calls: int
    round_ratios: tuple[float, ...]
    """Median of the model over median of the reference, a round, each in new sessions; below 1 is faster."""
    energy: EnergyUse | None = None
    """The energy of one sample; None where the machine has no counter that can be read."""
    waited: float = 0.0
    """Share of its time that a call waited for a processor that other work had, of the model that waited more; with
    more than one thread, the share of calls that were interrupted. Times are without it."""
    stolen: float = 0.0
    """Share of the processors' work that the host of a virtual machine kept for others."""
    margin: float = 0.0
    """The relative error of the ratio in each direction that the rounds do not show."""
    unmeasured: str = ""
    """Why the figures are not to be trusted, where the machine was too busy; no requirement is met then."""

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return float(np.median(self.round_ratios))

    @property
    def is_busy(self) -> bool:
        """Whether other work was in the way."""
        return self.waited > QUIET or self.stolen > STOLEN

    def ratio_interval(self, confidence: float) -> Interval:
        """Return the ratio with bounds: those of the bootstrap over the rounds, wider by the margin."""
        return self._widened(median_interval(np.array(self.round_ratios), confidence))

    def speedup(self, confidence: float) -> Interval:
        """Return how many times as fast as the reference the model is."""
        return self._widened(median_interval(1 / np.array(self.round_ratios), confidence))

    def _widened(self, interval: Interval) -> Interval:
        wider = {"lower": interval.lower / (1 + self.margin), "upper": interval.upper * (1 + self.margin)}
        return interval.model_copy(update=wider)


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

        def time_on(places: np.ndarray, calls: int) -> CallTimes:
            feed = {self.model_input.name: self.model_input.trim(self.inputs[places])}
            return time_calls(lambda: session.run(None, feed), calls)

        return time_on


def measure_latency(
    model: Timed, reference: Timed, config: Measurement, meter: EnergyMeter | None = None
) -> tuple[Latency, ...]:
    """Time ``model`` against ``reference`` at each batch size of ``config``, both on the same samples.

    Each round has sessions of its own, so that the rounds differ by as much as another measurement would from this one.

    Args:
        meter: of energy; this machine's own where it is not given.
    """
    assert len(model.inputs) == len(reference.inputs)
    models, meter, stolen = (model, reference), meter or find_meter(), StolenTime()
    pair = _open_pair(models, 0, config)
    num_samples = len(model.inputs)
    timings = [_Timing(size, _calls_a_round(pair, num_samples, size, config), config) for size in config.batch_sizes]
    number, patience = 0, PATIENCE_SECONDS
    while any(timing.lacks_rounds for timing in timings) and (number < config.rounds or patience > 0):
        # The pair of the last round is closed after this one is open: it would be given the same memory again.
        pair, began = _open_pair(models, number, config), time.perf_counter()
        for timing in timings:
            if timing.lacks_rounds:
                timing.add_round(pair, number, places_of(number, num_samples, timing.size, config.rounds), meter)
        number += 1
        if any(timing.num_rounds < number for timing in timings):
            patience -= _wait(timings, number, config) + time.perf_counter() - began
    latencies = tuple(timing.result(stolen.share) for timing in timings)
    _describe_busy(latencies)
    return latencies


def _wait(timings: list[_Timing], number: int, config: Measurement) -> float:
    """Give other work the time to end, and say so once; return for how many seconds."""
    if number == config.rounds:
        lacking = ", ".join(str(timing.size) for timing in timings if timing.lacks_rounds)
        emit(Step(f"the machine is busy: other work interrupts the calls of batch {lacking}; trying again"))
    if number < config.rounds:
        return 0.0
    time.sleep(PAUSE_SECONDS)
    return PAUSE_SECONDS


def _describe_busy(latencies: tuple[Latency, ...]) -> None:
    """Say of a busy machine what it did to the figures."""
    worst = max(latencies, key=lambda latency: (bool(latency.unmeasured), latency.margin))
    if worst.unmeasured:
        emit(Step(f"batch {worst.batch_size} {worst.unmeasured}"))
    elif worst.is_busy:
        emit(
            Step(
                f"the machine is busy: calls waited {worst.waited:.0%} of their time for a processor; what they had of "
                f"one counts, and bounds are wider by {worst.margin:.1%}"
            )
        )


def _open_pair(models: tuple[Timed, Timed], number: int, config: Measurement) -> _Pair:
    # Who is opened first changes half as often as who runs first, so that neither always goes with the other.
    opened = {turn: models[turn].open(config.threads) for turn in turns(number // 2)}
    return opened[0], opened[1]


@dataclass(frozen=True)
class Clock:
    """What a thread's own clock says on the machine that measures.

    Attributes:
        is_of_the_work: whether one thread of the processor computes all, so that its clock counts the work.
        is_fine: whether it is fine enough for a single call.
    """

    is_of_the_work: bool
    is_fine: bool


def latency_of_rounds(
    size: int, rounds: Sequence[tuple[CallTimes, CallTimes]], config: Measurement, stolen: float, clock: Clock
) -> Latency:
    """Return the figures of rounds that another machine has timed as `measure_latency` does.

    Args:
        rounds: what the model and the reference took, of as many calls each.
        stolen: the share of the processors' work that its host took meanwhile.
    """
    timing = _Timing(size, len(rounds[0][0].wall), config, clock)
    for model, reference in rounds:
        timing.keep(model, reference)
    return timing.result(stolen)


class _Timing:
    """The rounds of two models at one batch size."""

    def __init__(self, size: int, calls: int, config: Measurement, clock: Clock | None = None) -> None:
        self.size, self._calls, self._config = size, calls, config
        self._clock = clock or Clock(config.threads == 1, has_fine_clock())
        self._turns: tuple[list[CallTimes], list[CallTimes]] = ([], [])
        self._kept: list[int] = []
        self._joules = [0.0, 0.0]

    @property
    def num_rounds(self) -> int:
        """The number of rounds that count."""
        return len(self._kept)

    @property
    def lacks_rounds(self) -> bool:
        """Whether there are fewer than were asked for."""
        return self.num_rounds < self._config.rounds

    def add_round(self, pair: _Pair, number: int, places: np.ndarray, meter: EnergyMeter) -> None:
        """Let each of ``pair`` have its turn on the samples at ``places``."""
        made: dict[int, CallTimes] = {}
        for turn in turns(number):
            pair[turn](places, SETTLING_CALLS)
            before = meter.read()
            made[turn] = pair[turn](places, self._calls)
            self._joules[turn] += meter.joules_since(before)
        self.keep(made[0], made[1])

    def keep(self, model: CallTimes, reference: CallTimes) -> None:
        """Take what was timed in a round."""
        for turn, times in enumerate((model, reference)):
            self._turns[turn].append(times)
        if self._takes_off_waits or all(len(made[-1].alone) >= MIN_CALLS_ALONE for made in self._turns):
            self._kept.append(len(self._turns[0]) - 1)

    def result(self, stolen: float) -> Latency:
        """Return the figures of all rounds so far, while the host took the share ``stolen`` of the work."""
        waited = max(self._waited(made) for made in self._turns)
        unmeasured = self._why_unmeasured(waited, stolen)
        rounds = self._kept or list(range(len(self._turns[0])))
        model, reference = ([1e3 * self._seconds(made[number], waited) for number in rounds] for made in self._turns)
        every = np.concatenate(model)
        medians = (np.array([np.median(seconds) for seconds in made]) for made in (model, reference))
        num_calls = self._calls * len(self._turns[0])
        return Latency(
            batch_size=self.size,
            p50=float(np.median(every)),
            p90=float(np.quantile(every, 0.9)),
            p99=float(np.quantile(every, 0.99)),
            reference_p50=float(np.median(np.concatenate(reference))),
            num_calls=num_calls,
            round_ratios=tuple(np.divide(*medians).tolist()),
            energy=_energy(self._joules, num_calls * self.size),
            waited=waited,
            stolen=stolen,
            margin=RESOLUTION + COLD_CACHES * waited * (waited > QUIET) + 2 * stolen * (stolen > STOLEN),
            unmeasured=unmeasured,
        )

    @property
    def _takes_off_waits(self) -> bool:
        """Whether one thread computes, whose own clock tells: of several, one spins while it waits for another."""
        return self._clock.is_of_the_work

    def _waited(self, made: list[CallTimes]) -> float:
        return waited_share(made) if self._takes_off_waits else interrupted_share(made)

    def _seconds(self, turn: CallTimes, waited: float) -> np.ndarray:
        if not self._takes_off_waits:
            return turn.alone if len(turn.alone) >= MIN_CALLS_ALONE else turn.wall
        return np.minimum(turn.computed, turn.wall) if waited > QUIET and self._clock.is_fine else turn.wall

    def _why_unmeasured(self, waited: float, stolen: float) -> str:
        busy = "could not be measured: the machine is too busy"
        again = "Run it again when other work is done"
        if stolen > TOO_MUCH_STOLEN:
            return f"{busy}, its host keeps {stolen:.0%} of the processors' time for others. {again}."
        if not self._takes_off_waits and self.num_rounds < MIN_ROUNDS:
            return (
                f"{busy}, other work interrupts {waited:.0%} of the calls. {again}, or with evaluation.threads below "
                f"{self._config.threads}."
            )
        if self._takes_off_waits and not self._clock.is_fine and waited > TOO_LONG_WAITS:
            return f"{busy}, calls wait {waited:.0%} of their time for a processor. {again}."
        return ""


def _energy(joules: list[float], num_samples: int) -> EnergyUse | None:
    """Return the joules of a sample; None where the counters stood still, as in a virtual machine, or are none."""
    if 0 in joules:
        return None
    return EnergyUse(joules=joules[0] / num_samples, reference_joules=joules[1] / num_samples)


def _calls_a_round(pair: _Pair, num_samples: int, size: int, config: Measurement) -> int:
    """Warm up, and return how many calls a turn fill the time that was given."""
    middle = places_of(config.rounds // 2, num_samples, size, config.rounds)
    seconds_a_pair = sum(median_seconds(time_on(middle, WARMUP_CALLS), config.threads) for time_on in pair)
    least = MIN_CALLS_A_ROUND if config.threads == 1 else MIN_CALLS_ALONE + SPARE_CALLS
    return max(least, int(config.seconds / config.rounds / seconds_a_pair))
