"""A tiny ONNX model of any input: its answer is a function of the sum of a sample's numbers, padding aside."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from thresher.modalities.model_input import ModelInput


def make_sum_onnx(model_input: ModelInput, num_classes: int = 0, scale: float = 1e-3) -> bytes:
    """Return a model that answers ``scale`` times the sum, or classes by it where ``num_classes`` is given."""
    kind = helper.np_dtype_to_tensor_dtype(model_input.dtype)
    axes = ["T" if size is None else size for size in model_input.shape]
    given = helper.make_tensor_value_info(model_input.name, kind, ["N", *axes])
    name, width = ("probabilities", num_classes) if num_classes else ("value", 1)
    answer = helper.make_tensor_value_info(name, TensorProto.FLOAT if num_classes else TensorProto.DOUBLE, ["N", width])
    weights = scale * (np.arange(1, width + 1, dtype=np.float32) if num_classes else np.ones(1, np.float32))[None]
    constants = {"zero": np.float32(0), "rows": np.array([0, -1]), "last": np.array([1]), "weights": weights}
    nodes = [
        helper.make_node("Cast", [model_input.name], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["numbers"], ["padding"]),
        helper.make_node("Where", ["padding", "zero", "numbers"], ["kept"]),
        helper.make_node("Reshape", ["kept", "rows"], ["flat"]),
        helper.make_node("ReduceSum", ["flat", "last"], ["sum"], keepdims=1),
        helper.make_node("MatMul", ["sum", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], [name], axis=1)
        if num_classes
        else helper.make_node("Cast", ["scores"], [name], to=TensorProto.DOUBLE),
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "sum", [given], [answer], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
