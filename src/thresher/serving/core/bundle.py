"""The model bundle: the folder that holds everything a service needs to answer as the evaluation did."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from thresher.config import Config
from thresher.errors import ThresherError
from thresher.modalities import AnyEncoder
from thresher.modalities.decision import DecisionRule
from thresher.modalities.encoder import Encoder

MODEL_FILE, ENCODER_FILE, INFO_FILE = "model.onnx", "encoder.json", "model.json"
SUMS_FILE = "SHA256SUMS"
"""The hashes of all others, as `sha256sum --check` reads them; a bundle of before has none."""
CARD_FILE, VERDICT_FILE, PROFILE_FILE, EXAMPLE_FILE = "card.md", "verdict.json", "profile.json", "example.json"
ATTACHMENTS = (CARD_FILE, VERDICT_FILE, PROFILE_FILE, EXAMPLE_FILE)
"""What a bundle may hold besides, and a service answers without."""


MODEL_PREFIX = "thresher-"
"""What the names of our models in BentoML's store begin with."""
LABELS = ("recipe", "model_version", "mlflow_run_id", "data_hash", "git_commit")
"""The fields of `ModelInfo` that models, Bentos and images have as labels."""


class BundleError(ThresherError):
    """A model bundle with a missing or damaged file."""


class ModelInfo(Config):
    """Where the model of a bundle comes from, and how it is to be run."""

    recipe: str = Field(min_length=1)
    candidate: str
    """The winner's name in the recipe, such as `float` or `half_int8`."""
    model_version: str
    """The version in the MLflow registry."""
    mlflow_run_id: str
    data_hash: str
    git_commit: str
    created: datetime
    threads: int = Field(ge=1)
    """ONNX Runtime's threads for one call, as in the evaluation."""
    max_batch_size: int = Field(ge=1)
    """The most samples in one call of ONNX Runtime."""
    max_latency_ms: int = Field(ge=1)
    """The longest that one call of ONNX Runtime may take: batches are kept so small, by what the service measures when
    it starts. The batcher never waits, so nothing is delayed by it. The latency histogram on /metrics has a bucket
    that ends exactly here."""
    timeout_ms: int = Field(default=5000, ge=1)
    """How long a request may wait for its turn."""
    workers: int | None = Field(default=None, ge=1)
    """Processes that answer; None for as many as the cores of the machine that serves are enough for."""
    decision: DecisionRule | None = None
    """By which the model has its classes, as its file says, too; None where the likeliest class is the answer."""
    execution: str | None = Field(default=None, min_length=1)
    """The execution provider and the entries of ONNX Runtime's sessions, as `read_execution` reads them, where another
    machine has measured that they pay; None for CUDA where it is there, else the processor."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """What the evaluation measured."""


def model_name(recipe: str) -> str:
    """Return the name in BentoML's model store for ``recipe``: tags are in lower case."""
    return f"{MODEL_PREFIX}{recipe.lower()}"


SERVED_BY = ("threads", "max_batch_size", "max_latency_ms", "timeout_ms", "workers", "execution")
"""What of `ModelInfo` decides how the same model is served."""


@dataclass(frozen=True)
class Bundle:
    """A model bundle in memory."""

    onnx_bytes: bytes
    encoder: Encoder
    info: ModelInfo
    attachments: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    """File name, one of `ATTACHMENTS`, to content; empty for a champion that was registered without any."""
    reason: str = ""
    """Of the challenge that it won or lost, until it is registered: from then on the registry's history has it."""


def hash_content(onnx_bytes: bytes, encoder: Encoder) -> str:
    """Return what tells a model and its encoder from others."""
    return hashlib.sha256(onnx_bytes + encoder.model_dump_json().encode()).hexdigest()


def has_content(expected: str, onnx_bytes: bytes, encoder: Encoder) -> bool:
    """Return whether a model and its encoder are those that `hash_content` gave ``expected`` for.

    An encoder that was written before its class got another field had none of it: what was read decides, too.
    """
    as_read = encoder.model_dump_json(exclude_unset=True).encode()
    return expected in (hash_content(onnx_bytes, encoder), hashlib.sha256(onnx_bytes + as_read).hexdigest())


def write_bundle(
    folder: Path,
    onnx_bytes: bytes,
    encoder: Encoder,
    info: ModelInfo,
    attachments: Mapping[str, bytes] | None = None,
) -> None:
    """Write a bundle to ``folder``, which is made where it is missing.

    Args:
        onnx_bytes: a model from the encoder's `model_input` to `probabilities`, float32 [N, K], or `value`,
            float64 [N, 1].
        attachments: as `Bundle` has them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(onnx_bytes)
    (folder / ENCODER_FILE).write_text(encoder.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_attachments(folder, attachments or {})
    written = [MODEL_FILE, ENCODER_FILE, INFO_FILE, *(attachments or {})]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in written]
    (folder / SUMS_FILE).write_text("".join(sums), encoding="utf-8")


def read_bundle(folder: Path) -> Bundle:
    """Return the bundle in ``folder``; whether ONNX Runtime can open its model is `open_session`'s to say.

    Raises:
        BundleError: a file is missing, empty, altered or not what it should be.
    """
    onnx_bytes = _read(folder, MODEL_FILE)
    return Bundle(onnx_bytes, read_bundle_encoder(folder), read_info(folder), read_attachments(folder))


def read_bundle_encoder(folder: Path) -> Encoder:
    """Return the encoder of the bundle in ``folder``, without reading the model.

    Raises:
        BundleError: the file is missing, empty or not what it should be.
    """
    encoder: Encoder = _parse(folder, ENCODER_FILE, AnyEncoder)
    return encoder


def read_info(folder: Path) -> ModelInfo:
    """Return where the model of the bundle in ``folder`` comes from, without reading the model.

    Raises:
        BundleError: the file is missing, empty or not what it should be.
    """
    info: ModelInfo = _parse(folder, INFO_FILE, ModelInfo)
    return info


def write_attachments(folder: Path, attachments: Mapping[str, bytes]) -> None:
    """Write ``attachments`` into ``folder``, which is there."""
    for name, content in attachments.items():
        assert name in ATTACHMENTS, name
        (folder / name).write_bytes(content)


def read_attachments(folder: Path) -> dict[str, bytes]:
    """Return the attachments that ``folder`` holds.

    Raises:
        BundleError: one was altered.
    """
    return {name: _read(folder, name) for name in ATTACHMENTS if (folder / name).is_file()}


def _parse(folder: Path, name: str, kind: Any) -> Any:
    content = _read_unchecked(folder, name)
    try:
        parsed = TypeAdapter(kind).validate_json(content)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}" for problem in error.errors()
        )
        raise BundleError(f"{folder / name} is damaged: {problems}. Package the model again.") from error
    _compare(folder, name, content)
    return parsed


def _read(folder: Path, name: str) -> bytes:
    content = _read_unchecked(folder, name)
    _compare(folder, name, content)
    return content


def _read_unchecked(folder: Path, name: str) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        needed = f"A model bundle is a folder with {MODEL_FILE}, {ENCODER_FILE} and {INFO_FILE}."
        raise BundleError(f"Cannot read {folder / name}: {error.strerror}. {needed}") from error
    if not content:
        raise BundleError(f"{folder / name} is empty. Package the model again.")
    return content


def _compare(folder: Path, name: str, content: bytes) -> None:
    expected, actual = _read_sums(folder).get(name), hashlib.sha256(content).hexdigest()
    if expected not in (None, actual):
        what = f"{folder / name} was altered since it was packaged: its SHA-256 is {actual}, and was {expected}"
        raise BundleError(f"{what}. Fix: bring the file back, or package the model again: thresher promote.")


def _read_sums(folder: Path) -> dict[str, str]:
    """Return file name -> SHA-256 of the bundle in ``folder``."""
    try:
        lines = (folder / SUMS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"Cannot read {folder / SUMS_FILE}: {error}. Package the model again.") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
