"""Rows a second of scoring rows like those of adult, beside plain loops over ONNX Runtime: ratios, in turns.

    python benchmarks/predict.py [--rows 1000000] [--rounds 5] [--batch 64]

The model is the MLP of the recipe adult_mlp with drawn weights. `thresher predict` reads, checks, encodes, answers,
watches drift and writes; `loop` does what a script would: pandas reads, numpy encodes, ONNX Runtime answers, pandas
writes; `encoded` is ONNX Runtime alone, on rows that are encoded and in memory. Memory is that of a
process of its own, which loads the model from a folder: the command itself has MLflow in memory, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from thresher.export import export_onnx
from thresher.machine import describe_machine
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.encoder import TabularEncoder, TabularEncoding
from thresher.modalities.tabular.table import Table
from thresher.models.mlp import Mlp
from thresher.models.start import build_start
from thresher.prediction.run import Request, write_answers
from thresher.serving.core.bundle import PROFILE_FILE, Bundle, ModelInfo, write_bundle
from thresher.serving.core.cpu import available_cores
from thresher.serving.monitoring.profile import make_profile

NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
WORDS = {
    "workclass": 9,
    "education": 16,
    "marital": 7,
    "occupation": 15,
    "relation": 6,
    "race": 5,
    "sex": 2,
    "country": 42,
}
"""Column -> categories."""
PIECE = 100_000
MEASURE_MEMORY = """
import sys
from pathlib import Path
from thresher.prediction.run import Request, write_answers
from thresher.serving.core.bundle import read_bundle

folder = Path(sys.argv[1])
request = Request("adult", folder / "rows.parquet", folder / "memory.parquet")
write_answers(request, read_bundle(folder / "bundle"), None, "")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def make_columns(num_rows: int, seed: int) -> dict[str, np.ndarray]:
    """Return columns like those of adult."""
    random = np.random.default_rng(seed)
    numbers = {name: random.integers(0, 100, num_rows).astype(np.float64) for name in NUMBERS}
    words = {
        name: np.array([f"{name} {code}" for code in range(count)], dtype=object)[random.integers(0, count, num_rows)]
        for name, count in WORDS.items()
    }
    return {**numbers, **words}


def make_champion(batch: int) -> Bundle:
    """Return the recipe's MLP with weights that were drawn, as it would be registered."""
    count = 5000
    samples = Samples(Table(make_columns(count, 0)), np.arange(count) % 2, ("at_most_50K", "over_50K"))
    encoder = TabularEncoder.fit(samples, TabularEncoding())
    network = build_start(Mlp(hidden=(128, 64)), encoder.model_input, ClassOutput(num_classes=2), 1)
    info = ModelInfo(
        recipe="adult", candidate="float", model_version="1", mlflow_run_id="", data_hash="", git_commit="",
        created=datetime.now(UTC), threads=1, max_batch_size=batch, max_latency_ms=10,
    )  # fmt: skip
    profile = make_profile(encoder, encoder.encode(samples.inputs), samples.labels)
    return Bundle(export_onnx(network), encoder, info, {PROFILE_FILE: profile.model_dump_json().encode()})


def write_rows(path: Path, num_rows: int) -> None:
    """Write ``num_rows`` rows as Parquet, some at a time."""
    writer = None
    for number, start in enumerate(range(0, num_rows, PIECE)):
        table = pa.table(make_columns(min(PIECE, num_rows - start), number + 1))
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def loop(bundle: Bundle, data: Path, out: Path) -> None:
    """Score the file as a script would that reads it whole."""
    encoder = bundle.encoder
    assert isinstance(encoder, TabularEncoder)
    rows = pd.read_parquet(data)
    numbers = [(rows[column.name].to_numpy() - column.mean) / column.std for column in encoder.numeric]
    codes = [rows[column.name].map({name: code for code, name in enumerate(column.categories, 1)}).to_numpy()
             for column in encoder.categorical]  # fmt: skip
    outputs = answer(bundle, np.stack([*numbers, *codes], axis=1).astype(np.float32))
    names = encoder.class_names
    answers = {f"probability_{name}": outputs[:, place] for place, name in enumerate(names)}
    labels = np.array(names)[outputs.argmax(axis=1)]
    pd.DataFrame({"id": np.arange(1, len(rows) + 1), "label": labels, **answers}).to_parquet(out)


def answer(bundle: Bundle, encoded: np.ndarray) -> np.ndarray:
    """Return ONNX Runtime's answers to encoded rows, batch after batch, on all cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cores()
    session = onnxruntime.InferenceSession(bundle.onnx_bytes, options, providers=["CPUExecutionProvider"])
    name, size = session.get_inputs()[0].name, bundle.info.max_batch_size
    return np.concatenate(
        [session.run(None, {name: encoded[start : start + size]})[0] for start in range(0, len(encoded), size)]
    )


def take_turns(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way in each round, all of them in turn; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def measure(num_rows: int, rounds: int, batch: int, folder: Path) -> str:
    """Return the table of one comparison, in Markdown."""
    bundle, data = make_champion(batch), folder / "rows.parquet"
    write_rows(data, num_rows)
    write_bundle(folder / "bundle", bundle.onnx_bytes, bundle.encoder, bundle.info, bundle.attachments)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_MEMORY, str(folder)], capture_output=True, text=True, check=True
    )
    encoded = bundle.encoder.encode(Table(make_columns(num_rows, 1)))

    def predict() -> None:
        for left in folder.glob("answers.*"):
            left.unlink() if left.is_file() else [*map(Path.unlink, left.iterdir()), left.rmdir()]
        write_answers(Request("adult", data, folder / "answers.parquet"), bundle, None, "")

    ways = {
        "thresher predict": predict,
        "loop": lambda: loop(bundle, data, folder / "loop.parquet"),
        "encoded": lambda: answer(bundle, encoded),
    }
    seconds = take_turns(ways, rounds)
    check(folder)
    lines = [
        "| way | rows a second | thresher predict's rows a second over its own [least, most] |",
        "| --- | --- | --- |",
    ]
    for name, taken in seconds.items():
        ratios = np.array(taken) / np.array(seconds["thresher predict"])
        told = f"{np.median(ratios):.2f} [{ratios.min():.2f}, {ratios.max():.2f}]"
        lines.append(f"| {name} | {num_rows / np.median(taken):,.0f} | {told} |")
    machine = describe_machine()
    about = f"{num_rows:,} rows, batches of {batch}, {rounds} rounds; onnxruntime {onnxruntime.__version__}, {machine}"
    memory = f"Most memory of a process that scores the file: {int(done.stdout) / 1024:,.0f} MiB"
    return "\n".join([about, "", *lines, "", memory])


def check(folder: Path) -> None:
    """Check that both files have the same answers."""
    ours, theirs = (pd.read_parquet(folder / name) for name in ("answers.parquet", "loop.parquet"))
    for name in theirs:
        if theirs[name].dtype == np.float32:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)
        else:
            assert (ours[name] == theirs[name]).all(), name


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(measure(arguments.rows, arguments.rounds, arguments.batch, Path(folder)))


if __name__ == "__main__":
    main()
