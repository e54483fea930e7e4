"""Any number of ONNX files of one task, judged in one process by the same code, and their table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thresher.evaluation import Measurement
from thresher.evaluation.latency import (
    MIN_CALLS_A_ROUND,
    SETTLING_CALLS,
    WARMUP_CALLS,
    TimeCalls,
    Timed,
    median_seconds,
    places_of,
)
from thresher.evaluation.quality import Quality, measure_quality
from thresher.evaluation.runtime import open_session, predict
from thresher.evaluation.statistics import Interval, exactly, median_interval
from thresher.modalities.model_input import ModelInput
from thresher.modalities.samples import EncodedSamples

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Entry:
    """One file, and who made it."""

    name: str
    tool: str
    content: bytes


@dataclass(frozen=True)
class Point:
    """One file, judged.

    Attributes:
        quality: on the test split, beside the float model's.
        loss: in accuracy, beside the float model.
        medians: batch size -> median latency of every round, ms [rounds]; the rounds are the same for all files.
    """

    name: str
    tool: str
    size_bytes: int
    quality: Quality
    loss: Interval
    medians: dict[int, np.ndarray]

    @property
    def accuracy(self) -> float:
        """On the test split."""
        return self.quality.figures["accuracy"]

    def keeps(self, bound: float | None) -> bool:
        """Return whether the upper bound of its loss is at most ``bound``."""
        return bound is None or self.loss.upper <= bound

    def speed_beside(self, other: Point, size: int) -> Interval:
        """Return how many times as fast as ``other`` it is at batch ``size``: the median over the rounds."""
        return median_interval(other.medians[size] / self.medians[size], CONFIDENCE)

    def dominates(self, other: Point, bound: float | None) -> bool:
        """Return whether it keeps ``bound``, is nowhere worse in size and speed than ``other``, and somewhere better.

        Without a bound it must be as accurate. Speeds differ only where the rounds say so: a tie is not worse.
        """
        if not self.keeps(bound) or self.size_bytes > other.size_bytes:
            return False
        if bound is None and self.accuracy < other.accuracy:
            return False
        speeds = [self.speed_beside(other, size) for size in self.medians]
        if any(speed.upper < 1 for speed in speeds):
            return False
        return self.size_bytes < other.size_bytes or any(speed.lower > 1 for speed in speeds)


def judge(
    entries: list[Entry], reference: str, test: EncodedSamples, model_input: ModelInput, config: Measurement
) -> tuple[list[Point], dict[str, str]]:
    """Return a point for every file that ONNX Runtime runs, and name -> reason for the others.

    Args:
        reference: the name of the float model.
    """
    outputs: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    qualities: dict[str, Quality] = {}
    base = next(entry for entry in entries if entry.name == reference)
    outputs[reference] = predict(open_session(base.content, config.threads), test.inputs, model_input)
    for entry in entries:
        try:
            outputs[entry.name] = predict(open_session(entry.content, config.threads), test.inputs, model_input)
            qualities[entry.name] = measure_quality(outputs[entry.name], outputs[reference], test.labels)
        except Exception as error:  # ONNX Runtime raises classes of its own
            failed[entry.name] = f"does not run: {error}".strip().partition("\n")[0]
            continue
        figures = qualities[entry.name].figures
        print(f"{entry.name}: accuracy {figures['accuracy']:.4f}, {len(entry.content) / 1000:.1f} kB", flush=True)
    running = {entry.name: entry for entry in entries if entry.name in qualities}
    timed = {name: Timed(entry.content, test.inputs, model_input) for name, entry in running.items()}
    medians = time_in_turns(timed, config)
    points = [
        Point(name, one.tool, len(one.content), qualities[name], loss_of(name, reference, qualities), medians[name])
        for name, one in running.items()
    ]
    return points, failed


def loss_of(name: str, reference: str, qualities: dict[str, Quality]) -> Interval:
    """Return the loss in quality; none, surely, of the reference beside itself."""
    if name == reference:
        return exactly(0.0, CONFIDENCE)
    return qualities[name].loss(CONFIDENCE)


def time_in_turns(timed: dict[str, Timed], config: Measurement) -> dict[str, dict[int, np.ndarray]]:
    """Return name -> batch size -> the median latency of every round, ms [rounds].

    In a round each file has one turn, on the same samples and in a new session, since how a session lies in memory
    makes some percent; who begins changes from round to round, and so does the direction. ``config.seconds`` is what
    each file has at each batch size.
    """
    names, num_samples = list(timed), len(next(iter(timed.values())).inputs)
    calls = _open_all(timed, names, config)
    medians: dict[str, dict[int, np.ndarray]] = {name: {} for name in names}
    for size in config.batch_sizes:
        print(f"Timing {len(names)} files at batch {size}", flush=True)
        some = np.arange(size) % num_samples
        seconds = {name: median_seconds(calls[name](some, WARMUP_CALLS), config.threads) for name in names}
        counts = {name: max(MIN_CALLS_A_ROUND, int(config.seconds / config.rounds / seconds[name])) for name in names}
        rounds = {name: np.empty(config.rounds) for name in names}
        for number in range(config.rounds):
            places = places_of(number, num_samples, size, config.rounds)
            # Those of the last round are closed after these are open: they would be given the same memory again.
            calls = _open_all(timed, turns(names, number // 2), config)
            for name in turns(names, number):
                calls[name](places, SETTLING_CALLS)
                rounds[name][number] = 1000 * median_seconds(calls[name](places, counts[name]), config.threads)
        for name in names:
            medians[name][size] = rounds[name]
    return medians


def _open_all(timed: dict[str, Timed], names: list[str], config: Measurement) -> dict[str, TimeCalls]:
    return {name: timed[name].open(config.threads) for name in names}


def turns(names: list[str], number: int) -> list[str]:
    """Return the order of the round ``number``."""
    first = number // 2 % len(names)
    order = names[first:] + names[:first]
    return order if number % 2 == 0 else order[::-1]


def table(points: list[Point], reference: str, winner: str, bound: float | None) -> Iterator[str]:
    """Yield the table's lines, the largest file first; the winner is bold."""
    base = next(point for point in points if point.name == reference)
    sizes, above = list(base.medians), dominators(points, bound)
    yield (
        "| file | by | accuracy | drop, at most | kB | smaller |"
        + "".join(f" batch {s} |" for s in sizes)
        + (" dominated by |")
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: |" + " ---: |" * len(sizes) + " --- |"
    for point in sorted(points, key=lambda each: -each.size_bytes):
        name = f"**{point.name}**" if point.name == winner else point.name
        speeds = "".join(f" {show(point.speed_beside(base, size))} |" for size in sizes)
        standing = ", ".join(above[point.name]) or "-" if point.keeps(bound) else "loses too much"
        yield (
            f"| {name} | {point.tool} | {point.accuracy:.4f} | {point.loss.value:+.4f}, {point.loss.upper:+.4f} "
            f"| {point.size_bytes / 1000:.1f} | {base.size_bytes / point.size_bytes:.2f}x |{speeds} {standing} |"
        )


def dominators(points: list[Point], bound: float | None) -> dict[str, list[str]]:
    """Return name -> who dominates it, without those whom another dominates in turn, where that leaves any."""
    found = {point.name: [other.name for other in points if other.dominates(point, bound)] for point in points}
    return {name: [each for each in above if not found[each]] or above for name, above in found.items()}


def show(speed: Interval) -> str:
    """Return the speed with its bounds."""
    return f"{speed.value:.2f}x [{speed.lower:.2f}, {speed.upper:.2f}]"


def conclusion(points: list[Point], winner: str, own_tool: str, bound: float | None) -> str:
    """Return who of the peers dominates ``winner``, in a sentence or two."""
    ours = next(point for point in points if point.name == winner)
    better = [point for point in points if point.tool != own_tool and point.dominates(ours, bound)]
    if not better:
        return f"No peer's file dominates the winner, **{winner}**."
    as_accurate = [point.name for point in better if point.accuracy >= ours.accuracy]
    return (
        f"Peers' files that dominate the winner, **{winner}**: {', '.join(point.name for point in better)}; "
        f"of them at least as accurate: {', '.join(as_accurate) or 'none'}."
    )
