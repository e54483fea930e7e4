"""The nodes of a candidate's branch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from thresher.compression import APPLY_TO_NETWORK, APPLY_TO_ONNX, Technique
from thresher.compression.candidate import NamedCandidate
from thresher.compression.data import CalibrationData, CompressionData
from thresher.modalities import AnyEncoder
from thresher.modalities.samples import EncodedSamples
from thresher.pipelines.types import Checkpoints, Network
from thresher.progress import Step, report
from thresher.training import Training
from thresher.training.execution import ChosenExecution

Model = TypeVar("Model")
Data = TypeVar("Data")
PARITY_SAMPLES = 256
# Tracing a network and silencing an exporter change state of the whole process: with ThreadRunner, one at a time.
PROCESS_STATE = threading.Lock()


def compress_network(
    base: Network,
    encoder: AnyEncoder,
    training_samples: EncodedSamples,
    validation_samples: EncodedSamples,
    candidate: NamedCandidate,
    training: Training,
    execution: ChosenExecution,
    checkpoints: Checkpoints,
) -> Network:
    """Return the network that the candidate's pruning and finetuning steps make of ``base``."""
    samples = (training_samples, validation_samples)
    data = CompressionData(candidate.name, encoder.model_input, *samples, training, execution, checkpoints)
    network = _apply(candidate.network_steps, APPLY_TO_NETWORK, base, data)
    checkpoints.clear()
    return network


def export_network(network: Network, validation_samples: EncodedSamples) -> bytes:
    """Return the network as an ONNX file whose answers are proven equal to torch's on real samples.

    Raises:
        ParityError: they are not.
    """
    from thresher.export import check_parity, export_onnx

    with PROCESS_STATE:
        report(Step("export to ONNX, parity with torch"))
        onnx_file = export_onnx(network)
        check_parity(network, onnx_file, validation_samples.inputs[:PARITY_SAMPLES])
    return onnx_file


def quantize_onnx(
    onnx_file: bytes,
    encoder: AnyEncoder,
    training_samples: EncodedSamples,
    candidate: NamedCandidate,
    seed: int,
) -> bytes:
    """Return the ONNX file that the candidate's quantization makes of the float ``onnx_file``."""
    data = CalibrationData(candidate.name, encoder.model_input, training_samples, seed)
    return _apply(candidate.onnx_steps, APPLY_TO_ONNX, onnx_file, data)


def _apply(
    steps: tuple[Technique, ...],
    functions: dict[type, Callable[[Model, Any, Data], Model]],
    model: Model,
    data: Data,
) -> Model:
    """Return ``model`` after ``steps``, each applied by its function in the table ``functions``."""
    with PROCESS_STATE:
        for step in steps:
            report(Step(step.kind))
            model = functions[type(step)](model, step, data)
    return model
