"""Answers a second to requests of one image and of hundreds, around and beyond what a server holds in one piece.

One worker of the service, loaded by wrk over the Open Inference Protocol, beside ONNX Runtime in process. The network
is untrained, which makes it no faster or slower. Needs wrk (`apt-get install wrk`). Writes its table in
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from reproduce import PROJECT, describe_setting, marks, put_between
from serving import (
    BATCHED,
    CONCURRENCY,
    ONE_BY_ONE,
    Contestant,
    Results,
    binary_load,
    check_wrk,
    make_bento,
    measure,
    process,
)

PORT, MODEL = 22200, "lenet"
FAST_PORT = PORT + 2
BODIES = {"784 bytes": 1, "12 KB": 15, "150 KB": 191, "600 KB": 765}
"""Size of a body -> images in it."""
PLACE, PAGE = "larger bodies", PROJECT / "docs" / "benchmarks.md"


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each load, a whole number as wrk has it")
    arguments = parser.parse_args()
    check_wrk()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / MODEL
        onnx_file = make_bento(MODEL, folder)
        command = [sys.executable, "-m", "bentoml", "serve", f"{MODEL}:latest", "--port", str(PORT)]
        with process([*command, "--host", "127.0.0.1"], FAST_PORT, folder, THRESHER_WORKERS="1"):
            contestants = [
                Contestant(body, FAST_PORT, binary_load(MODEL, count=count)) for body, count in BODIES.items()
            ]
            results = measure(contestants, onnx_file, folder, arguments)
    how = f"LeNet, one worker, v2 binary on the fast port; median of {arguments.rounds} rounds of {arguments.seconds} s"
    put_between(*marks(PLACE), [*table(results), "", f"{how}. {describe_setting()}"], PAGE)


def table(results: Results) -> Iterator[str]:
    """Yield the lines of the table."""
    alone, batched = (median(one.rate for one in results[way, 1]) for way in (ONE_BY_ONE, BATCHED))
    yield f"ONNX Runtime in process makes {alone:,.0f} images a second one by one, {batched:,.0f} in batches of 32.\n"
    yield (
        "| body | images in it |"
        + "".join(f" {count} at a time: answers/s, images/s, p99 ms |" for count in CONCURRENCY)
        + " other answers than 200 |"
    )
    yield "|---|---:|" + "---:|" * (len(CONCURRENCY) + 1)
    for body, images in BODIES.items():
        cells, failures = [], 0
        for count in CONCURRENCY:
            mine = results[body, count]
            rate = median(one.rate for one in mine)
            cells.append(f"{rate:,.0f}, {images * rate:,.0f}, {median(one.p99 for one in mine):,.1f}")
            failures += sum(one.failures for one in mine)
        yield f"| {body} | {images} | {' | '.join(cells)} | {failures:,} |"


if __name__ == "__main__":
    main()
