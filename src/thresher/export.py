"""torch to ONNX, and the proof that both give the same answers."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout

import numpy as np
import torch

from thresher.errors import ParityError
from thresher.models.network import Network

INPUT, OUTPUT = "image", "probabilities"
PARITY_TOLERANCE = 1e-4


class _WithSoftmax(torch.nn.Module):
    """What is served gives probabilities; what is trained gives logits."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.network(image), dim=1)


def export_onnx(network: Network) -> bytes:
    """Return ``network`` as one ONNX file: uint8 `image` [N, C, H, W] to `probabilities` [N, K]."""
    import onnx

    module = _WithSoftmax(network).eval()
    example = torch.zeros((2, *network.spec.input_shape), dtype=torch.uint8)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1)}},
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
    """Return the largest difference of any probability between torch and ONNX Runtime on ``inputs``.

    Args:
        inputs: uint8 [N, C, H, W], real samples.

    Raises:
        ParityError: a difference above 1e-4.
    """
    import onnxruntime

    with torch.inference_mode():
        expected = torch.softmax(network.eval()(torch.from_numpy(inputs)), dim=1).numpy()
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    (got,) = session.run([OUTPUT], {INPUT: inputs})
    difference = float(np.abs(expected - got).max())
    if not difference <= PARITY_TOLERANCE:
        raise ParityError(
            f"The exported ONNX file gives probabilities that differ from torch's by up to {difference:.2e} on "
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
