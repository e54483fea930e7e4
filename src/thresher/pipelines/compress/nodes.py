"""The nodes of a candidate's branch."""

from __future__ import annotations

import threading

from thresher.compression import APPLY_TO_NETWORK, APPLY_TO_ONNX
from thresher.compression.candidate import NamedCandidate
from thresher.compression.data import CompressionData
from thresher.modalities.samples import Samples
from thresher.pipelines.types import Network
from thresher.progress import Step, report
from thresher.training import Training

PARITY_SAMPLES = 256
# Tracing a network and silencing an exporter change state of the whole process: with ThreadRunner, one at a time.
PROCESS_STATE = threading.Lock()


def compress_network(
    base: Network, training_samples: Samples, validation_samples: Samples, candidate: NamedCandidate, training: Training
) -> Network:
    """Return the network that the candidate's pruning and finetuning steps make of ``base``."""
    data = CompressionData(candidate.name, training_samples, validation_samples, training)
    with PROCESS_STATE:
        for step in candidate.network_steps:
            report(Step(step.kind))
            base = APPLY_TO_NETWORK[type(step)](base, step, data)
    return base


def export_network(network: Network, validation_samples: Samples) -> bytes:
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
    training_samples: Samples,
    validation_samples: Samples,
    candidate: NamedCandidate,
    training: Training,
) -> bytes:
    """Return the ONNX file that the candidate's quantization makes of the float ``onnx_file``."""
    data = CompressionData(candidate.name, training_samples, validation_samples, training)
    with PROCESS_STATE:
        for step in candidate.onnx_steps:
            report(Step(step.kind))
            onnx_file = APPLY_TO_ONNX[type(step)](onnx_file, step, data)
    return onnx_file
