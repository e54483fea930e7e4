"""Seconds of a `kedro run` that are not training, compression or evaluation: what the pipeline itself costs."""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from thresher.machine import describe_machine

WORK = ("train_float", "search_training", "find_learning_rate", "compress_network", "quantize_onnx",
        "predict_test", "evaluate_float", "evaluate_candidate", "challenge_champion")  # fmt: skip
"""Functions of nodes that do what a run is for."""
NODE = re.compile(r"^✓ (\S+) ([\d.]+) s")
START, BETWEEN, END = "start, to the first node", "between nodes", "after the last node"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", nargs="?", default="digits")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    machine = describe_machine()
    print(f"{arguments.recipe} on {machine['processor']}, {machine['cores']} cores\n", flush=True)
    rounds = [run(arguments.recipe) for _ in range(arguments.rounds + 1)][1:]  # the first one warms the files up
    print("| stage | seconds, median [min, max] |")
    print("| --- | --- |")
    for stage in sorted(rounds[0], key=lambda name: -statistics.median(each.get(name, 0.0) for each in rounds)):
        print(row(stage, [each.get(stage, 0.0) for each in rounds]))
    overhead = [sum(seconds for stage, seconds in each.items() if stage not in WORK) for each in rounds]
    print(row("**all but training, compression and evaluation**", overhead))


def run(recipe: str) -> dict[str, float]:
    """Return the seconds of every function of a node, and of what lies before, between and after them."""
    command = [str(Path(sys.executable).with_name("kedro")), "run", "--pipeline", recipe, "--fresh"]
    seconds: dict[str, float] = {}
    began = last = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := NODE.match(line):
                now, took = time.perf_counter(), float(found[2])
                add(seconds, found[1].rpartition(".")[2], took)
                add(seconds, BETWEEN if last > began else START, max(0.0, now - last - took))
                last = now
    if process.returncode:
        sys.exit("".join(lines))
    add(seconds, END, time.perf_counter() - last)
    return seconds


def add(seconds: dict[str, float], name: str, value: float) -> None:
    """Add ``value`` to what ``name`` has so far."""
    seconds[name] = seconds.get(name, 0.0) + value


def row(name: str, values: list[float]) -> str:
    """Return a line of the table."""
    return f"| {name} | {statistics.median(values):.1f} [{min(values):.1f}, {max(values):.1f}] |"


if __name__ == "__main__":
    main()
