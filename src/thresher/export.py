"""torch to ONNX, and the proof that both give the same answers."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from contextlib import redirect_stdout

import numpy as np
import torch

from thresher.errors import ParityError
from thresher.modalities.outputs import ValueOutput
from thresher.models.network import Network
from thresher.models.sequence import RecurrentNetwork

PARITY_TOLERANCE = 1e-4


class _Served(torch.nn.Module):
    """What is served gives probabilities, or values in the labels' unit; what is trained gives neither."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        return self.network.predict(encoded)


def export_onnx(network: Network) -> bytes:
    """Return ``network`` as one ONNX file, from what its encoder makes to what is served; the batch is of any size."""
    import onnx

    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, RecurrentNetwork):
            module.prepare_export()
    served, spec = _Served(network).eval(), network.spec
    example = torch.from_numpy(spec.input.example(2))
    axes = {axis: torch.export.Dim("length", min=1) for axis, size in enumerate(spec.input.shape, 1) if size is None}
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            served,
            (example,),
            dynamo=True,
            input_names=[spec.input.name],
            output_names=[spec.output.name],
            dynamic_shapes={"encoded": {0: torch.export.Dim("batch", min=1), **axes}},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip_debug_text(model)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def check_parity(network: Network, onnx_file: bytes, inputs: np.ndarray) -> float:
    """Return the largest difference of any output between torch and ONNX Runtime on ``inputs``.

    Values are compared in standard deviations of the labels.

    Args:
        inputs: what the encoder makes of real samples, [N, ...].

    Raises:
        ParityError: a difference above 1e-4.
    """
    import onnxruntime

    with torch.inference_mode():
        expected = network.eval().predict(torch.from_numpy(np.array(inputs))).numpy()
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {network.spec.input.name: inputs})
    scale = network.spec.output.std if isinstance(network.spec.output, ValueOutput) else 1.0
    difference = float(np.abs(expected - got).max()) / scale
    if not difference <= PARITY_TOLERANCE:
        raise ParityError(
            f"The exported ONNX file gives outputs that differ from torch's by up to {difference:.2e} on "
            f"{len(inputs)} samples; at most {PARITY_TOLERANCE:.0e} is allowed. Its export is not to be trusted: "
            "please report it with the recipe."
        )
    return difference


def _strip_debug_text(model) -> None:  # type: ignore[no-untyped-def]  # onnx.ModelProto, not imported for its type alone
    """Drop the exporter's source lines: up to half of a small file, and none of it is needed to run."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    # Inferred shapes can be inferred again; kept, they contradict the transposed weights of a quantized file.
    del model.graph.value_info[:]
    for value in [*model.graph.node, *model.graph.input, *model.graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
