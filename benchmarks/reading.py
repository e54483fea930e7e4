"""How long it takes to read a CSV file, beside pandas and pyarrow: ratios, taken in turns on one machine.

    python benchmarks/reading.py [--rows 100000] [--rounds 9]

Thresher's time includes what the others leave to whoever calls them: types of columns, missing values, labels, and the
line of each row.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from thresher.readers import TableFile

NUM_NUMBERS, NUM_WORDS = 16, 3
"""Columns of numbers and of words; one more is the label."""


def write(path: Path, num_rows: int, quoted: bool) -> None:
    """Write ``num_rows`` rows of 20 columns; with ``quoted``, words stand in quotes and hold commas."""
    generator = np.random.default_rng(1)
    words = np.array(
        ["north, east", "south, west", "up", "down", ""] if quoted else ["north", "south", "up", "down", ""]
    )
    numbers = {f"n{number}": generator.normal(size=num_rows).round(6) for number in range(NUM_NUMBERS)}
    texts = {f"w{number}": generator.choice(words, num_rows) for number in range(NUM_WORDS)}
    labels = {"y": generator.choice(["no", "yes"], num_rows)}
    pd.DataFrame({**numbers, **texts, **labels}).to_csv(path, index=False)


def take_turns(readers: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each reader in each round, all of them in turn; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(rounds + 1):
        for name, read in readers.items():
            begin = time.perf_counter()
            read()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def main() -> None:
    """Print the median seconds of each reader, and the median over rounds of Thresher's time over its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(f"{arguments.rows:,} rows, 20 columns; pandas {pd.__version__}, pyarrow {pa.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for quoted in (False, True):
            path = Path(folder) / "t.csv"
            write(path, arguments.rows, quoted)
            readers = {
                "thresher": TableFile(path=folder, file="t.csv", label="y").load,
                "pandas": lambda path=path: pd.read_csv(path),
                "pyarrow": lambda path=path: csv.read_csv(path),
            }
            seconds = take_turns(readers, arguments.rounds)
            for name, taken in seconds.items():
                ratios = np.array(seconds["thresher"]) / np.array(taken)
                kind = "quoted" if quoted else "plain"
                print(
                    f"{kind:7} {name:9} {np.median(taken):.3f} s; thresher takes {np.median(ratios):.2f} times as long"
                )


if __name__ == "__main__":
    main()
