"""From a ModelInfer request to samples, and from the model's outputs to its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from thresher.errors import InvalidInputError
from thresher.serving.core.datatypes import BYTES, DATATYPES, from_items, from_raw, to_raw
from thresher.serving.core.parameters import INPUT, OUTPUT, REQUEST, check_parameters, read_timeout
from thresher.serving.core.tensors import ModelTensors
from thresher.serving.grpc.messages import REQUESTS, RESPONSES

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field for the values of each datatype; FP16 has none and comes raw."""
WIDE = {
    "bool_contents": np.bool_,
    "int_contents": np.int32,
    "int64_contents": np.int64,
    "uint_contents": np.uint32,
    "uint64_contents": np.uint64,
    "fp32_contents": np.float32,
    "fp64_contents": np.float64,
}
"""What the values of each field fit in; read one by one, as a list of Python's numbers takes eight times as much."""
InferRequest, InferResponse = REQUESTS["ModelInfer"], RESPONSES["ModelInfer"]


def parse(message_class: Any, content: bytes) -> Any:
    """Return the message in ``content``.

    Raises:
        InvalidInputError: there is none.
    """
    try:
        return message_class.FromString(content)
    except DecodeError as error:
        raise InvalidInputError(f"The message is not a valid {message_class.DESCRIPTOR.full_name}.") from error


def read_samples(request: Any, tensors: ModelTensors) -> np.ndarray:
    """Return the samples [N, ...] of a ModelInferRequest, encoded.

    Raises:
        InvalidInputError: not one input, or not as its name, datatype and shape say.
        TooLargeError: too many samples.
    """
    if len(request.inputs) != 1:
        raise InvalidInputError(f"{len(request.inputs)} inputs given. Expected one of {_names(tensors)}.")
    tensor = request.inputs[0]
    check_parameters(tensor.parameters, INPUT, f"Input '{tensor.name[:100]}'")
    name, datatype, shape = tensor.name, tensor.datatype, tuple(tensor.shape)
    raw = request.raw_input_contents
    if not raw:
        return tensors.read(name, datatype, shape, lambda shape: _read_typed(tensor, shape))
    if len(raw) != 1:
        raise InvalidInputError(f"{len(raw)} raw_input_contents given. Expected one for each input, which is one.")
    if tensor.HasField("contents") and tensor.contents.ByteSize():
        raise InvalidInputError(f"Input '{name[:100]}': both contents and raw_input_contents given. Send one of them.")
    return tensors.read(name, datatype, shape, lambda shape: from_raw(name, datatype, shape, raw[0]))


def read_seconds(request: Any) -> float | None:
    """Return the seconds that the parameter `timeout`, in microseconds, gives a request; None where it is not there.

    Raises:
        InvalidInputError: it is no positive whole number.
    """
    if "timeout" not in request.parameters:  # reading a missing key of a map would add it
        return None
    parameter = request.parameters["timeout"]
    kind = parameter.WhichOneof("parameter_choice")
    return read_timeout(getattr(parameter, kind) if kind else 0)


def read_outputs(request: Any, tensors: ModelTensors) -> tuple[str, ...]:
    """Return the names of the outputs that a ModelInferRequest asks for.

    Raises:
        InvalidInputError: one that there is not, or asked for in a way that is not offered.
    """
    for output in request.outputs:
        check_parameters(output.parameters, OUTPUT, f"Output '{output.name[:100]}'")
    return tensors.check_outputs([output.name for output in request.outputs])


class Asked(NamedTuple):
    """What a ModelInferRequest asks for, without the bytes that it came in."""

    id: str
    is_raw: bool
    """Whether the tensors came raw, and are answered so."""
    names: tuple[str, ...]
    """The names of the outputs."""
    samples: np.ndarray
    """[N, ...], encoded."""
    timeout: float | None
    """Seconds."""


def read_request(content: bytes, tensors: ModelTensors) -> Asked:
    """Return what is asked for by the ModelInferRequest in ``content``.

    Raises:
        InvalidInputError, RequestError: it is none that can be answered.
    """
    request = parse(InferRequest, content)
    tensors.check_model(request.model_name, request.model_version)
    check_parameters(request.parameters, REQUEST, "The request")
    names, samples = read_outputs(request, tensors), read_samples(request, tensors)
    return Asked(request.id, len(request.raw_input_contents) > 0, names, samples, read_seconds(request))


def write_answer(asked: Asked, tensors: ModelTensors, outputs: np.ndarray) -> bytes:
    """Return a ModelInferResponse of the model's ``outputs`` [N, K] or [N, 1]: raw where the request is, else typed."""
    response = InferResponse(model_name=tensors.name, model_version=tensors.version, id=asked.id)
    for name in asked.names:
        datatype, array = tensors.answer(name, outputs)
        tensor = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if asked.is_raw:
            response.raw_output_contents.append(to_raw(array))
        else:
            values = array.reshape(-1).tolist()
            values = [text.encode() for text in values] if datatype == BYTES else values
            getattr(tensor.contents, CONTENTS[datatype]).extend(values)
    content: bytes = response.SerializeToString()
    return content


def _read_typed(tensor: Any, shape: Sequence[int]) -> np.ndarray:
    name, datatype = tensor.name, tensor.datatype
    wanted = CONTENTS.get(datatype)
    given = [field.name for field, _ in tensor.contents.ListFields()]
    if wanted is None or (given and given != [wanted]):
        where = f"contents.{wanted}" if wanted else "raw_input_contents"
        raise InvalidInputError(
            f"Input '{name}': {' and '.join(given) or 'nothing'} given. {datatype} goes in {where}."
        )
    values = getattr(tensor.contents, wanted)
    if len(values) != math.prod(shape):  # before each of them becomes a Python object
        raise InvalidInputError(
            f"Input '{name}': {len(values):,} values given; shape {list(shape)} has {math.prod(shape):,}."
        )
    if datatype == BYTES:
        return from_items(name, shape, list(values))
    wide: np.ndarray = np.fromiter(values, WIDE[wanted], len(values))
    dtype = DATATYPES[datatype]
    if wide.itemsize > dtype.itemsize and wide.size:
        limits = np.iinfo(dtype)
        if wide.min() < limits.min or wide.max() > limits.max:
            raise InvalidInputError(f"Input '{name}': contents.{wanted} has values that are not {datatype}.")
    return wide.astype(dtype, copy=False).reshape(shape)


def _names(tensors: ModelTensors) -> str:
    return " or ".join(f"'{tensor.name}' ({tensor.datatype} {list(tensor.shape)})" for tensor in tensors.inputs)
