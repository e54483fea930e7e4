"""Latency of every candidate that a run left in data/06_models, each in turns with the float model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from thresher.evaluation import Measurement
from thresher.evaluation.latency import Latency, measure_latency
from thresher.evaluation.statistics import median_interval
from thresher.machine import describe_machine
from thresher.models import FLOAT


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--models", type=Path, default=Path("data/06_models"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    files = {path.parent.name: path for path in sorted((arguments.models / arguments.recipe).glob("*/model.onnx"))}
    if FLOAT not in files:
        sys.exit(
            f"No candidates in {arguments.models / arguments.recipe}. Run: kedro run --pipeline {arguments.recipe}"
        )
    config = Measurement(
        threads=arguments.threads, batch_sizes=tuple(arguments.batch_sizes), seconds=arguments.seconds, rounds=60
    )
    machine = describe_machine()
    print(f"{machine['processor']}, {machine['cores']} cores, VNNI: {machine['vnni']}; ", end="")
    print(f"onnxruntime {onnxruntime.__version__}, {arguments.threads} thread(s), {config.rounds} rounds in turns")
    print("\n| candidate | kB | " + " | ".join(f"batch {size}" for size in config.batch_sizes) + " |")
    print("| --- | --- |" + " --- |" * len(config.batch_sizes))
    reference = files[FLOAT].read_bytes()
    shape = onnxruntime.InferenceSession(reference, providers=["CPUExecutionProvider"]).get_inputs()[0].shape[1:]
    inputs = np.random.default_rng(1).integers(0, 256, (256, *shape), dtype=np.uint8)
    for name, path in files.items():
        latencies = measure_latency(path.read_bytes(), reference, inputs, config)
        cells = " | ".join(describe(latency) for latency in latencies)
        print(f"| {name} | {path.stat().st_size / 1000:.1f} | {cells} |", flush=True)


def describe(latency: Latency) -> str:
    """Return the median and the speedup over float with its interval at 95 %."""
    speedup = median_interval(1 / np.array(latency.round_ratios), 0.95)
    return f"{latency.p50 * 1000:.0f} us, {speedup.value:.2f}x [{speedup.lower:.2f}, {speedup.upper:.2f}]"


if __name__ == "__main__":
    main()
