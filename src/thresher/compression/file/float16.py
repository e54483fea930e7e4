"""Weights and activations in 16-bit floating point, for processors that compute in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from thresher.adapters.onnxruntime import convert_to_float16, goes_down, goes_up, sort_nodes
from thresher.compression.data import CalibrationData
from thresher.compression.file.float16_range import LARGEST, operators_out_of_range, some_inputs
from thresher.compression.file.layers import name_nodes
from thresher.compression.file.ort_preprocess import nothing_to_quantize, silenced
from thresher.compression.file.weight_packing import WEIGHT_INPUTS, raise_opset
from thresher.config import KindConfig
from thresher.errors import CompressionError
from thresher.events import Step, emit

if TYPE_CHECKING:
    from onnx import ModelProto

SMALLEST = float(np.finfo(np.float16).smallest_subnormal)
KEPT_FLOAT = ("Softmax", "LogSoftmax", "LayerNormalization", "ReduceMean", "ReduceSum", "LSTM", "GRU", "Div")
"""Operators whose sums, exponentials and quotients need float32; ONNX Runtime has LSTM and GRU in float32 alone."""

BF16_OPSET = 22
"""The first opset in which ONNX's convolutions accept bfloat16."""


class Half(KindConfig):
    """fp16 or bf16, for GPUs. A CPU computes most of it in float32 and converts at every call, so that it is slower.

    What the model takes and answers stays as it is.
    """

    kind: Literal["half"] = "half"
    dtype: Literal["fp16", "bf16"] = "fp16"
    """bf16 has the range of float32 and 8 bits of precision; fp16 ends at 65504 and has 11. What holds or reaches more
    stays in float32, and is named."""


def half(onnx_file: bytes, config: Half, data: CalibrationData) -> bytes:
    """Return the float ``onnx_file`` in 16 bits, but for softmax, means, recurrences and the preparation of inputs.

    Operators with numbers that float16 cannot hold stay in float32 as well.

    Raises:
        CompressionError: no weights to convert, answers that are no finite numbers, or ONNX Runtime can open no session
            on the result here.
    """
    import onnx

    model = onnx.load_from_string(onnx_file)
    name_nodes(model)
    kept = operators_out_of_range(model, data, with_activations=config.dtype == "fp16")
    if kept:
        words = ", ".join(f"{name} ({why})" for name, why in kept.items())
        emit(Step(f"{config.kind}: in float32 stay {words}: 16 bits hold 0.00006 to 65,504"))
    with silenced():
        # The converter's own bounds would move all numbers above 10,000 there, and those near 0 away from it.
        converted = convert_to_float16(model, KEPT_FLOAT, [*_preparation(model), *kept], SMALLEST, LARGEST)
    if not any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in converted.graph.initializer):
        raise nothing_to_quantize(config.kind, data.candidate)
    _join_casts(converted)
    if config.dtype == "bf16":
        _use_bfloat16(converted, onnx.load_from_string(onnx_file))
        raise_opset(converted, BF16_OPSET)
    del converted.graph.value_info[:]
    content = bytes(converted.SerializeToString())
    _check_session(content, config, data)
    return content


def _preparation(model: ModelProto) -> list[str]:
    """Return the names of the operators before the first layer: pixels of up to 255 stay in float32."""
    names = []
    for node in model.graph.node:
        if node.op_type in WEIGHT_INPUTS:
            break
        names.append(node.name)
    return names


def _join_casts(model: ModelProto) -> None:
    """Let an operator that stays in float32 read what another one gives without a detour over 16 bits.

    ONNX Runtime's converter puts two casts between them, which costs precision and time, and writes a cast once for
    each reader, all under one name.
    """
    casts = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    down = {name: cast.input[0] for name, cast in casts.items() if goes_down(cast)}
    up = {name: cast for name, cast in casts.items() if goes_up(cast)}
    joined = {name: down[cast.input[0]] for name, cast in up.items() if name not in down and cast.input[0] in down}
    # What the graph answers keeps its name: the operator that gives it takes that name.
    answers = {joined[value.name]: value.name for value in model.graph.output if value.name in joined}
    nodes = {node.output[0]: node for node in model.graph.node if node.output[0] not in joined}
    for node in nodes.values():
        names = [joined.get(name, name) for name in node.input]
        node.input[:] = [answers.get(name, name) for name in names]
        node.output[:] = [answers.get(name, name) for name in node.output]
    read = {name for node in nodes.values() for name in node.input} | {value.name for value in model.graph.output}
    kept = [node for name, node in nodes.items() if name not in down or node.output[0] in read]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    sort_nodes(model)


def _use_bfloat16(model: ModelProto, original: ModelProto) -> None:
    """Make bfloat16 of every float16 in ``model``; weights are rounded from the ``original`` float32 ones."""
    from onnx import AttributeProto, TensorProto, helper, numpy_helper

    bfloat16 = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
    floats = {tensor.name: tensor for tensor in original.graph.initializer}

    def rounded(tensor: TensorProto) -> TensorProto:
        source = numpy_helper.to_array(floats.get(tensor.name, tensor))
        return numpy_helper.from_array(source.astype(bfloat16), tensor.name)

    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(rounded(tensor))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.BFLOAT16
            if attribute.type == AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT16:
                attribute.t.CopyFrom(rounded(attribute.t))


def _check_session(content: bytes, config: Half, data: CalibrationData) -> None:
    import onnxruntime

    providers = [name for name in onnxruntime.get_available_providers() if name.startswith(("CUDA", "CPU"))]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
        answers = session.run(None, {data.input.name: some_inputs(data)})[0]
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise CompressionError(
            f"{data.candidate}: {config.kind} with dtype {config.dtype} makes a model that ONNX Runtime cannot run "
            f"here, on {', '.join(providers)}: {error}. Allowed: fp16, or bf16 on a GPU that has it."
        ) from error
    if not np.isfinite(answers).all():
        raise CompressionError(
            f"{data.candidate}: {config.kind} makes a model that answers training samples with no finite number. "
            "Allowed: dtype bf16 on a GPU that has it, or another technique."
        )
