"""Latency of every candidate that a run left in data/06_models, each in turns with the float model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from thresher.evaluation import Measurement
from thresher.evaluation.latency import Latency, Timed, measure_latency
from thresher.machine import describe_machine
from thresher.modalities import read_encoder
from thresher.models import FLOAT


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the project's folder of that name")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    models = arguments.data / "06_models" / arguments.recipe
    files = {path.parent.name: path for path in sorted(models.glob("*/model.onnx"))}
    if FLOAT not in files:
        sys.exit(f"No candidates in {models}. Run: kedro run --pipeline {arguments.recipe}")
    config = Measurement(
        threads=arguments.threads, batch_sizes=tuple(arguments.batch_sizes), seconds=arguments.seconds, rounds=60
    )
    machine = describe_machine()
    print(f"{machine['processor']}, {machine['cores']} cores, VNNI: {machine['vnni']}; ", end="")
    print(f"onnxruntime {onnxruntime.__version__}, {arguments.threads} thread(s), {config.rounds} rounds in turns")
    print("\n| candidate | kB | " + " | ".join(f"batch {size}" for size in config.batch_sizes) + " |")
    print("| --- | --- |" + " --- |" * len(config.batch_sizes))
    encoder = read_encoder((arguments.data / "04_feature" / arguments.recipe / "encoder.json").read_bytes())
    samples = arguments.data / "05_model_input" / arguments.recipe / "test_samples"
    inputs = np.load(samples / "inputs.npy", mmap_mode="r")
    timed = {name: Timed(path.read_bytes(), inputs, encoder.model_input) for name, path in files.items()}
    for name, path in files.items():
        latencies = measure_latency(timed[name], timed[FLOAT], config)
        cells = " | ".join(describe(latency) for latency in latencies)
        print(f"| {name} | {path.stat().st_size / 1000:.1f} | {cells} |", flush=True)


def describe(latency: Latency) -> str:
    """Return the median and the speedup over float with its interval at 95 %."""
    speedup = latency.speedup(0.95)
    return f"{latency.p50 * 1000:.0f} us, {speedup.value:.2f}x [{speedup.lower:.2f}, {speedup.upper:.2f}]"


if __name__ == "__main__":
    main()
