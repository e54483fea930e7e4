"""Which operators would lose their numbers in 16 bits: beyond 65,504 there is none, and below 0.00006 few digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.compression.data import CalibrationData
from thresher.compression.file.profiling import open_session

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

LARGEST, SMALLEST_NORMAL = float(np.finfo(np.float16).max), float(np.finfo(np.float16).smallest_normal)
HEADROOM = 2.0
"""How much larger than on these samples an activation may be on others."""
SAMPLES = 64


def operators_out_of_range(model: ModelProto, data: CalibrationData, with_activations: bool) -> dict[str, str]:
    """Return the names of the operators of ``model`` to leave in float32, each with why.

    Those are the ones that read a constant that float16 cannot hold or, ``with_activations``, read or give such an
    activation of training samples.
    """
    kept: dict[str, str] = {}
    constants = {name: why for name, why in _constants(model).items() if why}
    activations = _activations(model, data) if with_activations else {}
    for node in model.graph.node:
        for name in node.input:
            if why := constants.get(name) or activations.get(name):
                kept.setdefault(node.name, why)
        for name in node.output:
            if why := activations.get(name):
                kept.setdefault(node.name, why)
    return kept


def _constants(model: ModelProto) -> dict[str, str]:
    """Return constant -> why float16 cannot hold it; nothing of those that it can."""
    import onnx

    tensors: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            tensors |= {name: each.t for name in node.output for each in node.attribute if each.name == "value"}
    floats = {name: tensor for name, tensor in tensors.items() if tensor.data_type == onnx.TensorProto.FLOAT}
    return {name: _why(onnx.numpy_helper.to_array(tensor), LARGEST) for name, tensor in floats.items()}


def _why(values: np.ndarray, largest: float) -> str:
    most = _most(values)
    if most > largest:
        return f"holds {most:.3g}"
    # Of one that holds larger numbers as well, those that are flushed to 0 matter little.
    return f"holds nothing above {most:.2g}" if 0 < most < SMALLEST_NORMAL else ""


def _activations(model: ModelProto, data: CalibrationData) -> dict[str, str]:
    """Return activation -> how large it is on training samples, of those that come near what float16 holds."""
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {value.name for value in model.graph.output}
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    floats = [value for value in inferred if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    watched.graph.output.extend(value for value in floats if value.name not in given)
    session = open_session(watched.SerializeToString())
    names = [output.name for output in session.get_outputs() if output.type == "tensor(float)"]
    values = session.run(names, {data.input.name: some_inputs(data)})
    found = {name: _most(value) for name, value in zip(names, values, strict=True)}
    return {name: f"reaches {most:.3g}" for name, most in found.items() if most > LARGEST / HEADROOM}


def some_inputs(data: CalibrationData) -> np.ndarray:
    """Return a few training samples as the model takes them."""
    inputs: np.ndarray = data.input.trim(data.training_samples.inputs[:SAMPLES]).astype(data.input.dtype, copy=False)
    return inputs


def _most(values: np.ndarray) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
