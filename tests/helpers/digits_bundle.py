"""A bundle of a network that was trained on the digits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from thresher.modalities.image import ImageEncoder
from thresher.serving.bundle import ModelInfo, write_bundle


def write_digits_bundle(folder: Path, onnx_file: bytes) -> Path:
    """Write the bundle to ``folder`` and return it."""
    names = tuple("0123456789")
    encoder = ImageEncoder(channels=1, mean=(78.0,), std=(96.0,), height=8, width=8, class_names=names)
    info = ModelInfo(
        recipe="digits",
        candidate="float",
        model_version="7",
        mlflow_run_id="0123456789abcdef",
        data_hash="d" * 64,
        git_commit="c" * 40,
        created=datetime.now(UTC),
        threads=1,
        max_batch_size=64,
        max_latency_ms=10,
    )
    write_bundle(folder, onnx_file, encoder, info)
    return folder
