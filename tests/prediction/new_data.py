"""Models of any modality, and new data for them in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from helpers.any_modality import make_encoder, make_samples
from helpers.registry_project import make_bundle
from helpers.tiny_onnx import make_sum_onnx
from pyarrow import parquet

from thresher.prediction.report import Report
from thresher.prediction.run import Request, write_answers
from thresher.readers.tables import TableFileOptions
from thresher.serving.core.bundle import PROFILE_FILE, Bundle
from thresher.serving.monitoring.profile import make_profile

JOBS = ("clerk", "nurse", "smith", None)
TABLE = TableFileOptions(file="x.csv", label="grade", missing=["?"])
ROW_ERRORS: tuple[dict[str, Any], ...] = (
    {"age": 30, "job": "pilot", "hours": 40.0},
    {"age": 30, "job": "nurse", "hours": None},
    {"age": 30, "job": "nurse", "hours": 1e300},
)


def make_champion(modality: str, task: str = "classification", scale: float = 1e-3, **encoding: Any) -> Bundle:
    """Return a bundle as it is registered, with the profile of its training data."""
    encoder, samples = make_encoder(modality, task, **encoding), make_samples(modality, task)
    profile = make_profile(encoder, encoder.encode(samples.inputs), samples.labels)
    return Bundle(
        make_sum_onnx(encoder.model_input, len(encoder.class_names), scale),
        encoder,
        make_bundle(1.0).info.model_copy(update={"model_version": "7"}),
        {PROFILE_FILE: profile.model_dump_json().encode()},
    )


def make_rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return rows as a client of the service writes them; some have no value where that is allowed."""
    random = np.random.default_rng(seed)
    return [
        {
            "age": None if index % 7 == 3 else int(random.integers(17, 90)),
            "job": JOBS[random.integers(0, 4)],
            "hours": float(np.float64(random.normal(40, 5))),
        }
        for index in range(count)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as CSV, Parquet or JSON Lines, by the suffix; each number so that it comes back to the last bit."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in rows[0]})
        frame.to_csv(path, index=False)
    return path


def predict(bundle: Bundle, data: Path, out: Path, options: Any = TABLE, **asked: Any) -> tuple[Any, Report]:
    """Return the table of answers, and the report."""
    report = write_answers(Request("small", data, out, **asked), bundle, options, "hash")
    return (parquet.read_table(out) if out.suffix.lower() == ".parquet" else pd.read_csv(out)), report


def rejected(out: Path) -> dict[int, str]:
    """Return number -> reason of the samples without an answer."""
    path = out.with_name(f"{out.stem}.rejected.jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return {each["number"]: each["reason"] for each in map(json.loads, lines)}


def probabilities(table: Any, bundle: Bundle) -> np.ndarray:
    """Return the probabilities [N, K] of a table of answers."""
    names = bundle.encoder.class_names
    return np.stack([np.asarray(table[f"probability_{name}"], np.float32) for name in names], axis=1)
