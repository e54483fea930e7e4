"""A request to infer over REST, in JSON or with binary tensors, and its answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from thresher.errors import InvalidInputError
from thresher.serving.core.datatypes import BYTES, DATATYPES, from_raw, from_values, to_raw
from thresher.serving.core.errors import MalformedError
from thresher.serving.core.parameters import (
    INPUT,
    MAX_DIGITS,
    OUTPUT,
    REQUEST,
    check_keys,
    check_parameters,
    flag,
    read_timeout,
)
from thresher.serving.core.strict_json import parse_json
from thresher.serving.core.tensors import ModelTensors
from thresher.serving.http.response import JSON_TYPE, Reply, to_json

HEADER_LENGTH = b"inference-header-content-length"
BINARY_TYPE = (b"content-type", b"application/octet-stream")
MAX_DIMENSIONS = 8
KEYS = ("id", "inputs", "outputs", "parameters", "model_name", "model_version")
INPUT_KEYS = ("name", "datatype", "shape", "data", "parameters")
OUTPUT_KEYS = ("name", "parameters")
MAX_KNOWN, MAX_KNOWN_BYTES = 256, 1024
"""How many heads a worker remembers, and up to which length."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the JSON of a request says."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    num_bytes: int | None
    """The length of the binary tensor after the JSON; None where the values are in the JSON."""
    values: Any
    outputs: tuple[tuple[str, bool], ...]
    """Name, and whether it is wanted in binary."""
    id: str | None
    timeout: float | None
    """Seconds until its turn must have come; None for the recipe's."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What a request asks for."""

    head: Head
    samples: np.ndarray
    """Encoded, [N, ...]."""


class InferCodec:
    """Reads requests to infer and writes their answers.

    Most clients send the same short JSON before each binary tensor: what it says is read once.
    """

    def __init__(self, tensors: ModelTensors) -> None:
        self._tensors = tensors
        self._known_head = lru_cache(MAX_KNOWN)(self._read_head)
        self._known_answer = lru_cache(MAX_KNOWN)(self._binary_head)

    def read(self, body: bytes | bytearray, header_length: bytes) -> InferRequest:
        """Return what the ``body`` of a request asks for.

        Args:
            header_length: the header Inference-Header-Content-Length, which binary tensors need; empty without it.

        Raises:
            MalformedError: malformed JSON or a wrong structure.
            TooLargeError: too many samples.
            InvalidInputError: a wrong tensor, with what was expected.
        """
        length = _header_length(header_length, len(body))
        if header_length and length <= MAX_KNOWN_BYTES:
            head = self._known_head(bytes(body[:length]))
        else:
            head = self._read_head(bytes(memoryview(body)[:length]))
        return InferRequest(head, self._read_samples(head, memoryview(body)[length:]))

    def write(self, request: InferRequest, outputs: np.ndarray) -> Reply:
        """Return the answer to ``request`` with the model's ``outputs``, [N, K] or [N, 1]."""
        head = request.head
        if head.outputs == self._own_binary and head.id is None:
            known = self._known_answer(len(outputs))
            return Reply(200, known[0] + outputs.tobytes(), known[1])
        documents, raws = [], []
        for name, binary in head.outputs:
            datatype, array = self._tensors.answer(name, outputs)
            document: dict[str, Any] = {"name": name, "datatype": datatype, "shape": array.shape}
            if binary:
                raws.append(to_raw(array))
                document["parameters"] = {"binary_data_size": len(raws[-1])}
            else:
                document["data"] = array.reshape(-1).tolist() if array.dtype == object else array.reshape(-1)
            documents.append(document)
        return self._reply(documents, raws, head.id)

    @property
    def _own_binary(self) -> tuple[tuple[str, bool], ...]:
        return ((self._tensors.outputs[0].name, True),)

    def _binary_head(self, num_samples: int) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        """Return what stands before the model's own output, and the headers."""
        output = self._tensors.outputs[0]
        shape = (num_samples, *output.shape[1:])
        size = math.prod(shape) * DATATYPES[output.datatype].itemsize
        document = {"name": output.name, "datatype": output.datatype, "shape": shape}
        reply = self._reply([{**document, "parameters": {"binary_data_size": size}}], [b""], None)
        return reply.body, reply.headers

    def _reply(self, documents: list[dict[str, Any]], raws: list[bytes], identifier: str | None) -> Reply:
        tensors = self._tensors
        answer: dict[str, Any] = {"model_name": tensors.name, "model_version": tensors.version, "outputs": documents}
        if identifier is not None:
            answer["id"] = identifier
        head = to_json(answer)
        if not raws:
            return Reply(200, head, (JSON_TYPE,))
        return Reply(200, b"".join((head, *raws)), (BINARY_TYPE, (HEADER_LENGTH, b"%d" % len(head))))

    def _read_head(self, text: bytes) -> Head:
        document = _object(parse_json(text), "The request")
        check_keys(document, KEYS, "The request")
        inputs = document.get("inputs")
        if not isinstance(inputs, list) or len(inputs) != 1:
            count = f"{len(inputs)} given" if isinstance(inputs, list) else "not a list"
            raise InvalidInputError(f"'inputs': {count}. Send one tensor: {_expected(self._tensors)}.")
        name, datatype, shape, num_bytes, values = _read_input(_object(inputs[0], "inputs[0]"), self._tensors)
        self._tensors.check_input(name, datatype, shape)
        _check_model(document, self._tensors)
        parameters = _parameters(document, REQUEST, "The request")
        identifier = document.get("id")
        if identifier is not None and not isinstance(identifier, str):
            raise InvalidInputError("'id' must be a text.")
        outputs = _read_outputs(document.get("outputs"), flag(parameters, "binary_data_output", False), self._tensors)
        timeout = read_timeout(parameters.get("timeout"))
        return Head(name, datatype, shape, num_bytes, values, outputs, identifier, timeout)

    def _read_samples(self, head: Head, raw: memoryview) -> np.ndarray:
        name = head.name
        if head.num_bytes is None:
            if raw:
                raise InvalidInputError(f"{len(raw):,} bytes follow the JSON, which has the data of input '{name}'.")
            array = from_values(name, head.datatype, head.shape, head.values)
        else:
            if head.num_bytes != len(raw):
                raise InvalidInputError(
                    f"Input '{name}': binary_data_size is {head.num_bytes}, and {len(raw):,} bytes follow the JSON. "
                    "The header Inference-Header-Content-Length says where it ends."
                )
            array = from_raw(name, head.datatype, head.shape, raw)
        return self._tensors.encode(name, head.datatype, array)


def _read_input(document: dict[str, Any], tensors: ModelTensors) -> tuple[str, str, tuple[int, ...], int | None, Any]:
    """Return name, datatype, shape, the number of bytes behind the JSON, and the values in it."""
    name, datatype, shape = document.get("name"), document.get("datatype"), document.get("shape")
    if not isinstance(name, str) or not isinstance(datatype, str) or (datatype not in DATATYPES and datatype != BYTES):
        raise InvalidInputError(f"inputs[0] needs a 'name' and a known 'datatype'. Expected {_expected(tensors)}.")
    check_keys(document, INPUT_KEYS, f"Input '{name[:100]}'")
    check_shape(name, shape)
    assert isinstance(shape, list)
    size = _parameters(document, INPUT, f"Input '{name[:100]}'").get("binary_data_size")
    if size is None and "data" not in document:
        raise InvalidInputError(
            f"Input '{name[:100]}' has neither 'data' nor parameters.binary_data_size with its bytes."
        )
    if size is not None and "data" in document:
        raise InvalidInputError(f"Input '{name[:100]}' has both 'data' and parameters.binary_data_size.")
    if size is not None and type(size) is not int:
        raise InvalidInputError(f"Input '{name[:100]}': binary_data_size must be a whole number, not {size!r:.20}.")
    return name, datatype, tuple(shape), size, document.get("data")


def check_shape(name: str, shape: Any) -> None:
    """Check that ``shape`` is a list of a few whole numbers.

    Raises:
        InvalidInputError: it is not.
    """
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= MAX_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**31 for size in shape)
    ):
        raise InvalidInputError(f"Input '{name[:100]}': 'shape' must be a list of 1 to {MAX_DIMENSIONS} whole numbers.")


def _read_outputs(asked: Any, binary: bool, tensors: ModelTensors) -> tuple[tuple[str, bool], ...]:
    if asked is None or asked == []:
        return tuple((name, binary) for name in tensors.check_outputs(()))
    if not isinstance(asked, list):
        raise InvalidInputError("'outputs' must be a list of objects with a 'name'.")
    wanted: dict[str, bool] = {}
    for index, output in enumerate(asked):
        document = _object(output, f"outputs[{index}]")
        if not isinstance(document.get("name"), str):
            raise InvalidInputError(f"outputs[{index}] needs a 'name'.")
        check_keys(document, OUTPUT_KEYS, f"outputs[{index}]")
        given = _parameters(document, OUTPUT, f"outputs[{index}]")
        wanted[document["name"]] = flag(given, "binary_data", binary)
    tensors.check_outputs(tuple(wanted))
    return tuple(wanted.items())


def _header_length(given: bytes, body_length: int) -> int:
    if not given:
        return body_length
    # Python refuses to read very many digits, leading zeros too.
    if not given.isdigit() or len(given) > MAX_DIGITS or int(given) > body_length:
        text = f"Inference-Header-Content-Length must be the JSON's length, at most the body's {body_length:,} bytes."
        raise MalformedError(text)
    return int(given)


def _object(document: Any, what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise InvalidInputError(f"{what} must be a JSON object.")
    return document


def _parameters(document: dict[str, Any], allowed: tuple[str, ...], what: str) -> dict[str, Any]:
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    parameters = _object(parameters, f"{what}: 'parameters'")
    check_parameters(parameters, allowed, what)
    return parameters


def _check_model(document: dict[str, Any], tensors: ModelTensors) -> None:
    """Check the names that some clients repeat in the request; the path has them already."""
    name, version = document.get("model_name") or tensors.name, document.get("model_version") or ""
    if not isinstance(name, str) or not isinstance(version, str):
        raise InvalidInputError("'model_name' and 'model_version' must be texts.")
    tensors.check_model(name, version)


def _expected(tensors: ModelTensors) -> str:
    return " or ".join(f"'{info.name}' of {info.datatype} {list(info.shape)}" for info in tensors.inputs)
