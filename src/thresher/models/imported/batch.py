"""The batch of a graph made free where its exporter has fixed it, and the opset raised: each tried and compared."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, numpy_helper

from thresher.errors import DataError
from thresher.models.imported.onnx_session import alike, run
from thresher.models.imported.read_onnx import upgraded

SAMPLES = 6
LONGEST = 200
"""Letters of what ONNX Runtime says."""
COPY, REST = 0, -1
"""What a Reshape takes for the length of an axis: that of its input, and what is left."""
RECURRENT = ("LSTM", "GRU", "RNN")


def free_batch(model: ModelProto, inputs: Mapping[str, np.ndarray], output: str, file: str) -> ModelProto:
    """Return ``model`` in opset 13 or later, for batches of any size.

    A graph is bound to its batch by the shapes it declares, and by constants within it. What frees it is accepted only
    if it answers to several real samples at once what the file as it is answers to them.

    Args:
        inputs: real samples as the graph's inputs take them [N, ...].

    Raises:
        DataError: the file does not run, or nothing frees its batch.
    """
    fixed = max(_fixed_batch(value) for value in model.graph.input if value.name in inputs)
    some = {name: given[:SAMPLES] for name, given in inputs.items()}
    count = len(next(iter(some.values())))
    expected = run(model.SerializeToString(), some, output, fixed or 1)
    problem = ""
    for changed in _variants(model, inputs.keys(), fixed or 1):
        try:
            if alike(expected, run(changed.SerializeToString(), some, output, count)):
                return changed
        except Exception as error:  # an impossible graph fails at whatever it comes to first
            problem = problem or f"({str(error).strip().partition(chr(10))[0][:LONGEST]}) "
    bound = f"a batch of {fixed}" if fixed else "one sample"
    raise DataError(
        f"{file}: is fixed to {bound} and gives other outputs, or none, for {count}. {problem}"
        "Fix: export it with a free batch axis (dynamic_axes or dynamic_shapes in torch, a None shape in Keras)."
    )


def _fixed_batch(value: onnx.ValueInfoProto) -> int:
    """Return the batch size that the input ``value`` declares, 0 where it is free."""
    first = value.type.tensor_type.shape.dim[:1]
    return int(first[0].dim_value) if first else 0


def _variants(model: ModelProto, names: Collection[str], batch: int) -> Iterator[ModelProto]:
    """Yield ``model`` with its batch freed in every way that may be the right one, the least change first."""
    for written in upgraded(model):
        yield _with_free_shapes(written, names)
        for length in (COPY, REST):
            freed = _with_free_shapes(written, names)
            if _free_operators(freed, batch, length):
                yield freed


def _with_free_shapes(model: ModelProto, names: Collection[str]) -> ModelProto:
    freed = ModelProto()
    freed.CopyFrom(model)
    del freed.graph.value_info[:]
    for value in freed.graph.input:
        if value.name in names and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for value in freed.graph.output:
        value.type.tensor_type.ClearField("shape")
    return freed


def _free_operators(model: ModelProto, batch: int, length: int) -> bool:
    """Let what is bound to ``batch`` samples by a constant take as many as there are; return whether there is any.

    A Reshape names them by a number, a recurrent layer by its states of zeros, which are what it begins with anyway.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    found = False
    for node in model.graph.node:
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and batch in shape:
            freed = np.array(shape, np.int64)
            freed[list(shape).index(batch)] = COPY if REST in shape else length
            _reshape_to(model, node, freed)
            found = True
        for place in range(5, len(node.input)) if node.op_type in RECURRENT else ():
            state = constants.get(node.input[place])
            if state is not None and state.ndim == 3 and not state.any():
                node.input[place] = ""
                found = True
    return found


def _reshape_to(model: ModelProto, node: NodeProto, shape: np.ndarray) -> None:
    name = f"{node.name}_free_shape"
    model.graph.initializer.append(numpy_helper.from_array(shape, name))
    node.input[1] = name
    kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]
    del node.attribute[:]
    node.attribute.extend(kept)


def names_of(values: object) -> str:
    """Return inputs or outputs of a graph with their types and shapes, in words."""
    return "; ".join(describe(value) for value in values)  # type: ignore[attr-defined]


def describe(value: onnx.ValueInfoProto) -> str:
    """Return name, type and shape of ``value``, such as `x float32 [?, 3, 32, 32]`."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return f"{value.name} (no tensor)"
    dtype = "string" if kind.elem_type == onnx.TensorProto.STRING else _numpy_name(kind.elem_type)
    axes = [str(axis.dim_value) if axis.HasField("dim_value") else "?" for axis in kind.shape.dim]
    return f"{value.name} {dtype} [{', '.join(axes)}]" if kind.HasField("shape") else f"{value.name} {dtype}"


def _numpy_name(elem_type: int) -> str:
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(elem_type))
    except KeyError:
        return "of unknown type"
