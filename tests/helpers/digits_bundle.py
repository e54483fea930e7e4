"""A bundle of a network that was trained on the digits."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import ModelInfo, write_bundle

BUILD = """
import sys
from pathlib import Path
from thresher.packaging.bento import build_bento, store_bundle
store_bundle(Path(sys.argv[1]))
print(build_bento("digits", Path(sys.argv[2])))
"""


def build_digits_bento(folder: Path, onnx_file: bytes, attachments: dict[str, bytes] | None = None) -> str:
    """Write the bundle to ``folder``, store it in BENTOML_HOME, build its Bento, and return that one's tag.

    In a process of its own: BentoML keeps the home that it first saw.
    """
    command = [
        sys.executable,
        "-c",
        BUILD,
        str(write_digits_bundle(folder, onnx_file, attachments)),
        str(Path(__file__).parents[2]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def digits_encoder() -> ImageEncoder:
    """Return the encoder of the digits."""
    names = tuple("0123456789")
    return ImageEncoder(channels=1, mean=(78.0,), std=(96.0,), height=8, width=8, class_names=names)


def write_digits_bundle(folder: Path, onnx_file: bytes, attachments: dict[str, bytes] | None = None) -> Path:
    """Write the bundle to ``folder`` and return it."""
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
    write_bundle(folder, onnx_file, digits_encoder(), info, attachments)
    return folder
