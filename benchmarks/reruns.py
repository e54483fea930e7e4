"""Seconds of an unchanged `kedro run` of a recipe: as it is, by Kedro's `--only-missing-outputs`, and of everything."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from thresher.machine import describe_machine

WAYS = {
    "kedro run": [],
    "kedro run --only-missing-outputs": ["--only-missing-outputs"],
    "kedro run --fresh (everything)": ["--fresh"],
}
PLAN = "thresher plan"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--rounds", type=int, default=5, help="of the ways that leave something out")
    parser.add_argument("--fresh-rounds", type=int, default=1, help="of the run of everything")
    arguments = parser.parse_args()
    machine = describe_machine()
    print(f"{arguments.recipe} on {machine['processor']}, {machine['cores']} cores\n", flush=True)
    kedro = ["kedro", "run", "--pipeline", arguments.recipe]
    time_command(kedro)  # so that there is something to leave out, and files are in the system's cache
    seconds: dict[str, list[float]] = {name: [] for name in (PLAN, *WAYS)}
    for turn in range(arguments.rounds):
        for name, options in WAYS.items():
            if name.endswith("(everything)") and turn >= arguments.fresh_rounds:
                continue
            seconds[name].append(time_command([*kedro, *options]))
        seconds[PLAN].append(time_command(["thresher", "plan", arguments.recipe]))
    full = statistics.median(seconds["kedro run --fresh (everything)"])
    print("| command | seconds, median [min, max] | times as fast as everything | runs |")
    print("| --- | --- | --- | --- |")
    for name, values in seconds.items():
        median = statistics.median(values)
        cells = f"{median:.1f} [{min(values):.1f}, {max(values):.1f}] | {full / median:.1f} | {len(values)}"
        print(f"| `{name}` | {cells} |")


def time_command(command: list[str]) -> float:
    """Return the seconds that ``command`` takes, its start included; a failing one ends the benchmark."""
    name, *rest = command
    began = time.perf_counter()
    done = subprocess.run([str(Path(sys.executable).with_name(name)), *rest], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
