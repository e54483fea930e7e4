"""Good answers a second while more is asked than the service can answer.

wrk sends requests of the Open Inference Protocol at a pace, each with a deadline; a good answer is one that came and is
right (status 200), which the service gives within the deadline alone. Peak is the most over all loads. The network is
untrained, which makes it no faster or slower. Needs wrk (`apt-get install wrk`). Prints Markdown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from serving import Load, binary_load, check_wrk, make_bento, process, run_wrk

PORT = 22000
CONNECTIONS = 1024
DEADLINE_MS = 250
FACTORS = (0.5, 0.9, 1.2, 1.5, 2.0, 3.0)
"""Of the capacity, which 64 callers without a pause find."""
SCRIPT = """
delay = function() return math.random() * 2 * {pause} end
done = function(summary, latency, requests)
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('{{"asked": %f, "good": %f, "refused": %d, "lost": %d, "p99": %f}}\\n',
    summary.requests / summary.duration * 1e6, (summary.requests - summary.errors.status) / summary.duration * 1e6,
    summary.errors.status, lost, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True)
class Seen:
    """Of one load, a second: requests and good answers; and what was refused, what was lost, and the p99 in ms."""

    asked: float
    good: float
    refused: int
    lost: int
    p99: float


def main() -> None:
    """Measure and print one table a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="lenet,resnet20", help="of lenet and resnet20, with a comma between")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    arguments = parser.parse_args()
    check_wrk()
    with tempfile.TemporaryDirectory() as home:
        for model in arguments.models.split(","):
            folder = Path(home) / model
            make_bento(model, folder)
            command = [sys.executable, "-m", "bentoml", "serve", f"{model}:latest", "--port", str(PORT)]
            with process([*command, "--host", "127.0.0.1"], PORT, folder, THRESHER_WORKERS="1"):
                print_table(model, measure(model, folder, arguments.rounds, arguments.seconds))


def measure(model: str, folder: Path, rounds: int, seconds: int) -> dict[str, list[Seen]]:
    """Return what was seen in each round, by how much was asked."""
    load = binary_load(model, DEADLINE_MS)
    seen: dict[str, list[Seen]] = {}
    for _ in range(rounds):
        capacity = send(load, folder, 64, 0.0, seconds)
        seen.setdefault("64 callers without a pause", []).append(capacity)
        for factor in FACTORS:
            pause = 1000 * CONNECTIONS / (factor * capacity.good)
            seen.setdefault(f"{factor:g}x", []).append(send(load, folder, CONNECTIONS, pause, seconds))
    return seen


def send(load: Load, folder: Path, connections: int, pause: float, seconds: int) -> Seen:
    """Load the service; each connection waits ``pause`` ms on average between an answer and its next request."""
    return Seen(**run_wrk(load, SCRIPT.format(pause=pause), PORT + 2, connections, folder, seconds))


def print_table(model: str, seen: dict[str, list[Seen]]) -> None:
    """Print medians over the rounds."""
    from thresher.machine import describe_machine

    rounds = len(next(iter(seen.values())))
    peaks = [max(each[number].good for each in seen.values()) for number in range(rounds)]
    print(f"\n{model}: one worker, a deadline of {DEADLINE_MS} ms, median of {rounds} rounds; {describe_machine()}\n")
    print("| asked, of the capacity | asked/s | good answers/s | of the peak | p99 of all answers, ms | lost |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, results in seen.items():
        asked, good, p99 = (median(getattr(one, key) for one in results) for key in ("asked", "good", "p99"))
        share = median(one.good / peak for one, peak in zip(results, peaks, strict=True))
        lost = sum(one.lost for one in results)
        print(f"| {name} | {asked:,.0f} | {good:,.0f} | {share:.2f} | {p99:,.1f} | {lost} |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
