"""What short texts wait for long ones beside them: the service with its groups of like length, and with one for all.

Both services run at the same time and are loaded in turns by callers that each send the next text when the last is
answered; every tenth text is long. The network has the size of MiniLM-L6 and is untrained, which makes it no faster or
slower. Writes its table in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
from reproduce import PROJECT, describe_setting, marks, put_between
from serving import SERVERS, process

PLACE, PAGE = "text lengths", PROJECT / "docs" / "benchmarks.md"
WAYS, PORT = ("grouped", "one group"), 22100
SHORT, LONG, MAX_LENGTH = 12, 250, 256
"""Words of a text; one is a token."""
SHARE_LONG = 0.1


@dataclass(frozen=True)
class Result:
    """Of one load: answers a second, percentiles of the latency in ms, and what was no answer."""

    rate: float
    short_p50: float
    short_p99: float
    long_p99: float
    failures: int


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--callers", default="8,32", help="how many at a time, with a comma between")
    parser.add_argument("--layers", type=int, default=6)
    arguments = parser.parse_args()
    callers = [int(number) for number in arguments.callers.split(",")]
    results: dict[tuple[str, int], list[Result]] = {}
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        folder = Path(home)
        make_bundle(folder, arguments.layers)
        ports = {way: PORT + 10 * number for number, way in enumerate(WAYS)}
        for way, port in ports.items():
            command = [sys.executable, str(SERVERS / "text_server.py"), str(folder), str(port), way]
            stack.enter_context(process(command, port, folder))
        for number in range(arguments.rounds):
            for way in WAYS[:: 1 if number % 2 else -1]:
                for count in callers:
                    result = asyncio.run(load(ports[way], count, arguments.seconds, seed=number))
                    results.setdefault((way, count), []).append(result)
                    print(f"round {number + 1}: {way}, {count} at a time: {result}", file=sys.stderr, flush=True)
    how = f"{arguments.layers} layers, median of {arguments.rounds} rounds of {arguments.seconds:g} s"
    put_between(*marks(PLACE), [*table(results, callers), "", f"{how}. {describe_setting()}"], PAGE)


def make_bundle(folder: Path, num_layers: int) -> None:
    """Write a bundle of an untrained Transformer and a tokenizer of words."""
    from thresher.export import export_onnx
    from thresher.modalities.outputs import ClassOutput
    from thresher.modalities.samples import Samples
    from thresher.modalities.text.encoder import TextEncoder, TextEncoding
    from thresher.models.network import Network, NetworkSpec
    from thresher.models.transformer.config import Transformer
    from thresher.serving.core.bundle import ModelInfo, write_bundle

    texts = np.array([words(random.Random(seed), LONG) for seed in range(20)], dtype=object)
    samples = Samples(texts, np.arange(20, dtype=np.int64) % 2, ("a", "b"))
    encoder = TextEncoder.fit(samples, TextEncoding(max_length=MAX_LENGTH))
    model = Transformer(dimension=384, num_heads=12, num_layers=num_layers, feed_forward=1536)
    network = Network(NetworkSpec(model=model, input=encoder.model_input, output=ClassOutput(num_classes=2)))
    where = {"mlflow_run_id": "none", "data_hash": "none", "git_commit": "none", "created": datetime.now(UTC)}
    how = {"threads": 1, "max_batch_size": 64, "max_latency_ms": 50, "timeout_ms": 60_000}
    info = ModelInfo.model_validate({"recipe": "texts", "candidate": "float", "model_version": "1", **where, **how})
    write_bundle(folder, export_onnx(network.eval()), encoder, info)


def words(dice: random.Random, count: int) -> str:
    """Return a text of so many words."""
    return " ".join(f"word{dice.randrange(5000)}" for _ in range(count))


async def load(port: int, callers: int, seconds: float, seed: int) -> Result:
    """Call for a while; the same texts come in the same order for every service."""
    dice, taken, failures = random.Random(seed), {False: list[float](), True: list[float]()}, 0
    end = time.perf_counter() + seconds

    async def call() -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < end:
            is_long = dice.random() < SHARE_LONG
            body = json.dumps({"text": words(dice, LONG if is_long else SHORT)}).encode()
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer.partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            taken[is_long].append(1000 * (time.perf_counter() - start))
            failures += b" 200 " not in answer.split(b"\r\n")[0]
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    rate = sum(map(len, taken.values())) / (time.perf_counter() - start)
    short_p50, short_p99 = np.percentile(taken[False], [50, 99]).tolist()
    return Result(rate, short_p50, short_p99, float(np.percentile(taken[True], 99)), failures)


def table(results: dict[tuple[str, int], list[Result]], callers: list[int]) -> Iterator[str]:
    """Yield medians over the rounds, and the median ratio within a round."""
    yield "| at a time | | answers/s | short p50 ms | short p99 ms | long p99 ms | failures |"
    yield "|---|---|" + "---:|" * 5
    fields = ("rate", "short_p50", "short_p99", "long_p99")
    for count in callers:
        ways = [results[way, count] for way in WAYS]
        for way, mine in zip(WAYS, ways, strict=True):
            cells = [f"{median(getattr(result, field) for result in mine):,.1f}" for field in fields]
            yield f"| {count} | {way} | {' | '.join(cells)} | {sum(result.failures for result in mine)} |"
        pairs = list(zip(*ways, strict=True))
        ratios = [f"{median(getattr(a, name) / getattr(b, name) for a, b in pairs):.2f}" for name in fields]
        yield f"| {count} | ratio | {' | '.join(ratios)} | |"


if __name__ == "__main__":
    main()
