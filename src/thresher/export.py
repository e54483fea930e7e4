"""torch to ONNX, and the proof that both give the same answers."""

from __future__ import annotations

import ast
import copy
import io
import logging
import warnings
from contextlib import redirect_stdout
from itertools import chain, count

import numpy as np
import torch

from thresher.adapters.torch import operators_kept
from thresher.errors import ParityError
from thresher.modalities.outputs import ValueOutput
from thresher.models.fake_quantization import activation_ranges, prepare_export
from thresher.models.network import Network
from thresher.models.recurrent.network import RecurrentNetwork
from thresher.process_state import exclusive_access

PARITY_TOLERANCE = 1e-4
"""The largest difference between the answers of torch and of the ONNX file: in probabilities, or in standard
deviations."""
QUANTIZED_TOLERANCE = 0.1
"""The tolerance for any answer of a fake-quantized network; the mean has a smaller one, see `check_parity`."""
LAST_BITS = 1e-6
"""What float32 sums of some hundred products are off by, about, as a share."""


class _Served(torch.nn.Module):
    """What is served gives probabilities, or values in the labels' unit; what is trained gives neither."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        return self.network.predict(encoded)


def export_onnx(network: Network) -> bytes:
    """Return ``network`` as one ONNX file, from what its encoder makes to what is served; the batch is of any size.

    Constants are folded and needless operators gone, for the float model as for every candidate. An operator with
    weights has the name of its torch layer.
    """
    import onnx

    from thresher.onnx_graph import VOCABULARY, optimize_portably, with_note
    from thresher.onnx_integers import finish_integers, name_integer_layers

    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, RecurrentNetwork):
            module.prepare_export()
    if network.spec.quantization is not None:
        prepare_export(network.body, network.spec.quantization)
    served, spec = _Served(network).eval(), network.spec
    example = torch.from_numpy(spec.input.example(2))
    axes = {axis: torch.export.Dim("length", min=1) for axis, size in enumerate(spec.input.shape, 1) if size is None}
    # The exporter changes how torch calls any module, in all threads.
    with exclusive_access(), operators_kept(), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
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
    _name_by_layer(model)
    if spec.quantization is not None:
        name_integer_layers(model)
    _strip_debug_text(model)
    content = optimize_portably(model.SerializeToString())
    if spec.quantization is not None:
        in_float = [name for name, place in spec.quantization.layers.items() if place is None]
        content = finish_integers(content, in_float, spec.quantization.calibration)
    if spec.kept_rows is not None:
        content = with_note(content, VOCABULARY, spec.kept_rows.words)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    return content


def check_parity(network: Network, onnx_file: bytes, inputs: np.ndarray) -> float:
    """Return the largest difference of any output between torch and ONNX Runtime on ``inputs``.

    Values are compared in standard deviations of the labels.

    No file of integers can answer a fake-quantized network's within 1e-4: ONNX Runtime sums integers where torch sums
    floats, and where a sum lies between two of the 256 steps of an activation, its last bit decides to which it is
    rounded. How much that does depends on the network, and is measured: `_rounding_noise`.

    Args:
        inputs: what the encoder makes of real samples, [N, ...].

    Raises:
        ParityError: a difference above 1e-4; of a fake-quantized network, above 0.1, or in the mean above 1e-4 and
            twice what torch's own answers are uncertain by.
    """
    import onnxruntime

    with torch.inference_mode():
        expected = network.eval().predict(torch.from_numpy(np.array(inputs))).numpy()
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {network.spec.input.name: inputs})
    scale = network.spec.output.std if isinstance(network.spec.output, ValueOutput) else 1.0
    differences = np.abs(expected - got) / scale
    largest, mean = float(differences.max()), float(differences.mean())
    at_most, mean_at_most, allowed = PARITY_TOLERANCE, PARITY_TOLERANCE, f"{PARITY_TOLERANCE:.0e}"
    if network.spec.quantization is not None:
        at_most, mean_at_most = QUANTIZED_TOLERANCE, PARITY_TOLERANCE + 2 * _rounding_noise(network, inputs) / scale
        allowed = f"{at_most:.0e}, and {mean_at_most:.1e} in the mean,"
    if not (largest <= at_most and mean <= mean_at_most):
        raise ParityError(
            f"The exported ONNX file gives outputs that differ from torch's by up to {largest:.2e}, in the mean by "
            f"{mean:.2e}, on {len(inputs)} samples; at most {allowed} is allowed. Its export is not to be trusted: "
            "please report it with the recipe."
        )
    return largest


def _rounding_noise(network: Network, inputs: np.ndarray) -> float:
    """Return the mean change of torch's answers where every activation moves by its last bits before it is rounded."""
    moved, given = copy.deepcopy(network).eval(), torch.from_numpy(np.array(inputs))
    for rounding in activation_ranges(moved):
        rounding.register_forward_pre_hook(lambda _, arguments: (arguments[0] * (1 + LAST_BITS),))
    with torch.inference_mode():
        return float((moved.predict(given) - network.predict(given)).abs().mean())


def _name_by_layer(model) -> None:  # type: ignore[no-untyped-def]  # onnx.ModelProto
    """Give every operator with weights the name of the torch layer that it comes from, such as `blocks.0.expand`."""
    sizes = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    taken = {node.name for node in model.graph.node}
    for node in model.graph.node:
        weights = [name for name in node.input if sizes.get(name, 0) > 1]
        if weights:
            node.name = _unused(_layer_of(node, weights[0]), taken)
            taken.add(node.name)


def _layer_of(node, weight: str) -> str:  # type: ignore[no-untyped-def]  # onnx.NodeProto
    scopes = {entry.key: entry.value for entry in node.metadata_props}.get("pkg.torch.onnx.name_scopes", "[]")
    modules = ast.literal_eval(scopes)[:-1]
    # A folded batch norm leaves its own scope on the convolution, a transposed weight has no name of its own.
    path = weight.removesuffix(".weight") if weight.endswith(".weight") else modules[-1] if modules else ""
    name = str(path).removeprefix("network.").removeprefix("body").removeprefix(".")
    return name or str(node.op_type).lower()


def _unused(name: str, taken: set[str]) -> str:
    tries = chain([name], (f"{name}.{number}" for number in count(2)))
    return next(tried for tried in tries if tried not in taken)


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
