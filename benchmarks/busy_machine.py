"""Whether a busy machine changes what the timing says: the same files, alone and beside two busy processes.

Makes a ResNet-8 and a ResNet-20 of untrained weights, some 1 ms and 6 ms a call, and the int8 file of the second. Two
pairs are timed as the verdict times a candidate beside float, again and again, with nothing else running and beside two
processes that only compute or sweep through memory, in turns. A trial holds where both of its intervals hold the ratio
of the idle machine: the median of all idle rounds. Run it where nothing else runs: it takes some six minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnxruntime

from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.evaluation import Measurement
from thresher.evaluation.latency import Latency, Timed, measure_latency
from thresher.export import export_onnx
from thresher.machine import describe_machine
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models import ModelChoice
from thresher.models.network import Network, NetworkSpec

CONFIDENCE = 0.95
IMAGE = ImageInput(channels=3, height=32, width=32, mean=(127.5,) * 3, std=(70.0,) * 3)
CLASSES = tuple("abcdefghij")
BUSY = {
    "computing": "while True: pass",
    "sweeping memory": "import numpy\na = numpy.zeros(8_000_000)\nwhile True: a += 1",
}
Pair = tuple[Timed, Timed]
Trials = tuple[list[Latency], list[Latency]]
"""What one pair came to on the idle machine, and on the busy one."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each trial, as evaluation.seconds")
    arguments = parser.parse_args()
    config = Measurement(batch_sizes=(1,), seconds=arguments.seconds)
    machine = describe_machine()
    print(
        f"{machine['processor']}, {machine['cores']} cores; onnxruntime {onnxruntime.__version__}, 1 thread; ", end=""
    )
    print(f"{arguments.trials} trials of {config.rounds} rounds, {arguments.seconds} s each; busy: ", end="")
    print(f"{arguments.processes} processes, of each kind in half of the trials", flush=True)
    trials = run_trials(config, arguments.trials, arguments.processes)
    print()
    print("| pair | idle: times as fast | interval | waited | busy | interval | waited | both hold the idle ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (idle, busy) in trials.items():
        print(row(name, idle, busy))


def run_trials(config: Measurement, num_trials: int, num_processes: int) -> dict[str, Trials]:
    """Return what was measured of each pair, alone and beside busy processes, in turns."""
    pairs = make_pairs()
    trials: dict[str, Trials] = {name: ([], []) for name in pairs}
    for number in range(num_trials):
        for name, pair in pairs.items():
            trials[name][0].extend(measure_latency(*pair, config))
        with hold_busy(list(BUSY.values())[number % len(BUSY)], num_processes):
            for name, pair in pairs.items():
                trials[name][1].extend(measure_latency(*pair, config))
        print(f"trial {number + 1} of {num_trials}", file=sys.stderr, flush=True)
    return trials


def row(name: str, idle: list[Latency], busy: list[Latency]) -> str:
    """Return one pair's line: of each state the least and greatest median, the widest interval and the longest wait."""
    return (
        f"| {name}, {truth_of(idle):.3f}x | {cells(idle)} | {cells(busy)} | {count_held(idle, busy)} of {len(idle)} |"
    )


def truth_of(idle: list[Latency]) -> float:
    """Return the ratio of the idle machine: the median of all its rounds."""
    return float(np.median([1 / ratio for latency in idle for ratio in latency.round_ratios]))


def count_held(idle: list[Latency], busy: list[Latency]) -> int:
    """Return in how many trials the intervals of both states hold the ratio of the idle machine."""
    truth = truth_of(idle)
    return sum(holds(truth, alone) and holds(truth, beside) for alone, beside in zip(idle, busy, strict=True))


def cells(latencies: list[Latency]) -> str:
    """Return what the trials of one state came to."""
    speedups = [latency.speedup(CONFIDENCE) for latency in latencies]
    values = [speedup.value for speedup in speedups]
    widest = max(speedups, key=lambda speedup: speedup.upper / speedup.lower)
    waited = [latency.waited for latency in latencies]
    return (
        f"{min(values):.3f}x to {max(values):.3f}x | {widest.lower:.2f} to {widest.upper:.2f} | "
        f"{min(waited):.1%} to {max(waited):.1%}"
    )


def holds(truth: float, latency: Latency) -> bool:
    """Return whether the interval of ``latency`` holds ``truth``; what could not be measured says nothing wrong."""
    speedup = latency.speedup(CONFIDENCE)
    return bool(latency.unmeasured) or speedup.lower <= truth <= speedup.upper


def make_pairs() -> dict[str, Pair]:
    """Return the pairs of model and reference, on random images."""
    random = np.random.default_rng(1)
    inputs = random.integers(0, 256, (256, 3, 32, 32), dtype=np.uint8)
    small, large = (export_onnx(make_network(depth, width)) for depth, width in ((8, 32), (20, 48)))
    samples = Samples(inputs, np.arange(256, dtype=np.int64) % 10, CLASSES)
    int8 = quantize_static(large, QuantizeStatic(calibration_samples=64), CalibrationData("int8", IMAGE, samples, 1))
    small_timed, large_timed, int8_timed = (Timed(file, inputs, IMAGE) for file in (small, large, int8))
    return {"ResNet-8 beside ResNet-20": (small_timed, large_timed), "int8 beside float": (int8_timed, large_timed)}


def make_network(depth: int, width: int) -> Network:
    """Return a ResNet with weights that nobody trained: they take the same time."""
    model = ModelChoice.model_validate({"kind": "resnet", "depth": depth, "width": width}).root
    return Network(NetworkSpec(model=model, input=IMAGE, output=ClassOutput(num_classes=len(CLASSES)))).eval()


@contextmanager
def hold_busy(program: str, count: int) -> Iterator[None]:
    """Let ``count`` processes run ``program`` until the block ends."""
    started = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
