"""The nodes of a candidate's branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thresher.candidate_failure import CandidateFailure, attempt
from thresher.compression import Technique
from thresher.compression.apply import apply_steps
from thresher.compression.candidate import NamedCandidate
from thresher.compression.data import CalibrationData, CompressionData
from thresher.evaluation.decision import ChosenDecision, Decision, decide
from thresher.evaluation.runtime import open_session, predict
from thresher.evaluation.temperature import Calibration, calibrate
from thresher.events import Step, emit
from thresher.kinds.record import TechniqueKind
from thresher.kinds.registry import kind_of
from thresher.modalities import AnyEncoder
from thresher.modalities.samples import EncodedSamples
from thresher.modalities.text.encoder import TextEncoder
from thresher.models import FLOAT
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.folder import PretrainedFolder
from thresher.models.pretrained.student import check_student
from thresher.pipelines.types import Checkpoints, Network
from thresher.process_state import shared_access
from thresher.training import Training
from thresher.training.execution import ChosenExecution

PARITY_SAMPLES = 256


def compress_network(
    base: Network | np.ndarray,
    encoder: AnyEncoder,
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    candidate: NamedCandidate,
    training: Training,
    execution: ChosenExecution,
    checkpoints: Checkpoints,
    *more: Any,
) -> Network | CandidateFailure:
    """Return the network that the candidate's steps on it make of ``base``, or why they cannot.

    Args:
        base: of a float model that is no network, what it answers to the training samples.
        candidate: a `CandidateFailure` in its place where a search has found no steps. Kedro reads this annotation,
            and makes what it names of a parameter: a union would be none.
        more: the networks of ``candidate.teachers``, then the folders of its pretrained students, in their order.
    """
    if isinstance(candidate, CandidateFailure):
        return candidate

    from thresher.models.storage import check_storable
    from thresher.training.loop import torch_threads

    teachers = more[: len(candidate.teachers)]

    def make() -> Network:
        known = dict(zip(candidate.teachers, teachers, strict=True))
        folders = _check_students(candidate, more[len(teachers) :], encoder)
        samples, run = (training_samples, validation_samples), (execution, checkpoints)
        data = CompressionData(candidate.name, encoder.model_input, *samples, training, *run, known, folders)
        with shared_access(), torch_threads(execution.threads):
            network = apply_steps(*_begin(candidate.network_steps, base, data), data)
            check_storable(network, candidate.name)
        checkpoints.clear()
        return network

    return attempt(candidate.name, compress_network.__name__, make, base, *teachers)


def export_network(
    network: Network, validation_samples: EncodedSamples, candidate: str | None = None
) -> bytes | CandidateFailure:
    """Return the network as an ONNX file whose answers are proven equal to torch's on real samples.

    Args:
        candidate: whose it is; None of the float model.

    Raises:
        ParityError: those of the float model are not.
    """
    return attempt(candidate, export_network.__name__, lambda: _export(network, validation_samples), network)


def quantize_onnx(
    onnx_file: bytes,
    encoder: AnyEncoder,
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    candidate: NamedCandidate,
    seed: int,
    threads: int = 1,
    batch_sizes: tuple[int, ...] = (1, 32),
) -> bytes | CandidateFailure:
    """Return what the candidate's steps on the ONNX file make of ``onnx_file``, or why they cannot.

    Args:
        threads, batch_sizes: of what is timed, where a step leaves something to that.
    """
    if isinstance(candidate, CandidateFailure):
        return candidate

    def make() -> bytes:
        timed = (tuple(batch_sizes), threads)
        data = CalibrationData(candidate.name, encoder.model_input, training_samples, seed, *timed, validation_samples)
        return apply_steps(candidate.onnx_steps, onnx_file, data)

    return attempt(candidate.name, quantize_onnx.__name__, make, onnx_file)


def calibrate_onnx(
    onnx_file: bytes,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    threads: int,
    candidate: str | None = None,
) -> tuple[bytes | CandidateFailure, Calibration | CandidateFailure]:
    """Return the file with probabilities that are as high as they are often right, and what that took.

    Args:
        candidate: whose it is; None of the float model.
    """

    def make() -> tuple[bytes, Calibration]:
        return calibrate(onnx_file, validation_samples, encoder.model_input, threads, candidate or FLOAT)

    made = attempt(candidate, calibrate_onnx.__name__, make, onnx_file)
    return (made, made) if isinstance(made, CandidateFailure) else made


def decide_onnx(
    onnx_file: bytes,
    validation_samples: EncodedSamples,
    encoder: AnyEncoder,
    threads: int,
    decision: Decision,
    candidate: str | None = None,
) -> tuple[bytes | CandidateFailure, ChosenDecision | CandidateFailure]:
    """Return the file with the threshold by which one class is its answer, and what that comes to.

    Args:
        candidate: whose it is; None of the float model.
    """

    def make() -> tuple[bytes, ChosenDecision]:
        name, labels = candidate or FLOAT, validation_samples.labels
        probabilities = predict(open_session(onnx_file, threads), validation_samples.inputs, encoder.model_input)
        return decide(onnx_file, probabilities, labels, validation_samples.class_names, decision, name)

    made = attempt(candidate, decide_onnx.__name__, make, onnx_file)
    return (made, made) if isinstance(made, CandidateFailure) else made


def _begin(
    steps: Sequence[Technique], base: Network | np.ndarray, data: CompressionData
) -> tuple[Sequence[Technique], Network]:
    """Return the steps upon a network, and that network: where ``base`` is none, the student that the first makes."""
    if not isinstance(base, np.ndarray):
        return steps, base
    return steps[1:], kind_of(TechniqueKind, steps[0]).load()(base, steps[0], data)


def _check_students(
    candidate: NamedCandidate, folders: Sequence[PretrainedFolder], encoder: AnyEncoder
) -> dict[str, PretrainedFolder]:
    """Return path -> folder; raises a DataError for one whose encoder cannot take what ``encoder`` makes."""
    named = dict(zip(candidate.pretrained_students, folders, strict=True))
    for student in (getattr(step, "student", None) for step in candidate.network_steps):
        if isinstance(student, Pretrained):
            tokenizer = encoder.tokenizer if isinstance(encoder, TextEncoder) and encoder.pretrained else None
            check_student(named[student.path], student, encoder.kind, encoder.model_input, tokenizer)
    return named


def _export(network: Network, validation_samples: EncodedSamples) -> bytes:
    from thresher.export import check_parity, export_onnx

    with shared_access():
        emit(Step("export to ONNX, parity with torch"))
        onnx_file = export_onnx(network)
        check_parity(network, onnx_file, validation_samples.inputs[:PARITY_SAMPLES])
    return onnx_file
