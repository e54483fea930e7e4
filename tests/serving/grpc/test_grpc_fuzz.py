"""No message, however wrong, is answered with anything but a result or what was wrong with it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import numpy as np
import pytest
from helpers.any_modality import MODALITIES, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_grpc import Running, raw_request, triton
from tiny_service import make_info

from thresher.serving.core.bundle import Bundle
from thresher.serving.grpc.tensor_codec import CONTENTS

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
REFUSED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
PREFACE, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
TENSORS = ["image", "tokens", "text", "row", "series", "probabilities", "label", "value", "é", "x" * 300]
DATATYPES = [*CONTENTS, "FP16", "BF16", ""]
SHAPES = st.lists(st.sampled_from([-(2**63), -1, 0, 1, 2, 3, 6, 8, 48, 2**31, 2**63 - 1]), max_size=5)
TEXTS = [b"", b"\x01\0\0\0a", b"\xff\xff\xff\xff", b'{"age": 1}', b"[[1, 2]]", b'{"\\ud800": 1}', b"NaN", b"[" * 3000]
VALUES: dict[str, Any] = {
    "bool_contents": st.booleans(),
    "int_contents": st.integers(-(2**31), 2**31 - 1),
    "int64_contents": st.integers(-(2**63), 2**63 - 1),
    "uint_contents": st.integers(0, 2**32 - 1),
    "uint64_contents": st.integers(0, 2**64 - 1),
    "fp32_contents": st.floats(width=32),
    "fp64_contents": st.floats(),
    "bytes_contents": st.sampled_from(TEXTS) | st.binary(max_size=20),
}


@pytest.fixture(scope="module", params=MODALITIES)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    encoder = make_encoder(request.param)
    server = Running(Bundle(make_sum_onnx(encoder.model_input, len(encoder.class_names)), encoder, make_info()))
    yield server
    server.close()


def is_no_failure(running: Running, content: Any) -> bool:
    try:
        running.call("ModelInfer", content)
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        return error.code() in REFUSED and bool(error.details())
    return True


@st.composite
def requests(draw: st.DrawFn) -> Any:
    request = triton.ModelInferRequest(model_name=draw(st.sampled_from(["shapes", "shapes", "shapes", "", "é"])))
    for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2]))):
        tensor = request.inputs.add(name=draw(st.sampled_from(TENSORS)), datatype=draw(st.sampled_from(DATATYPES)))
        tensor.shape.extend(draw(SHAPES))
        for field in draw(st.lists(st.sampled_from(list(VALUES)), max_size=2)):
            getattr(tensor.contents, field).extend(draw(st.lists(VALUES[field], max_size=8)))
    request.raw_input_contents.extend(draw(st.lists(st.binary(max_size=60), max_size=2)))
    for name in draw(st.lists(st.sampled_from(TENSORS), max_size=2)):
        request.outputs.add(name=name)
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["int64_param", "uint64_param", "string_param", "double_param", "bool_param"]))
        value = {"string_param": "7", "double_param": float("inf"), "bool_param": True}.get(kind, 2**62)
        setattr(request.parameters[draw(st.sampled_from(["timeout", "priority"]))], kind, value)
    return request


@QUICK
@given(request=requests())
def test_any_request(running: Running, request: Any) -> None:
    assert is_no_failure(running, request)


@QUICK
@given(data=st.data())
def test_any_values_of_the_model_s_own_tensor(running: Running, data: st.DataObject) -> None:
    own = running.predictor.tensors.inputs[0]
    shape = [data.draw(st.integers(1, 3)) if size == -1 else size for size in own.shape]
    request = triton.ModelInferRequest(model_name="shapes")
    tensor = request.inputs.add(name=own.name, datatype=own.datatype, shape=shape)
    count, field = int(np.prod(shape)), CONTENTS[own.datatype]
    if data.draw(st.booleans()):
        request.raw_input_contents.append(
            data.draw(st.binary(min_size=count, max_size=count)) * own_bytes(own.datatype)
        )
    else:
        values = data.draw(st.lists(VALUES[field], min_size=1, max_size=6))
        getattr(tensor.contents, field).extend((values * count)[:count])
    assert is_no_failure(running, request)


@QUICK
@given(texts=st.lists(VALUES["bytes_contents"], min_size=1, max_size=3))
def test_any_bytes_of_a_raw_input(running: Running, texts: list[bytes]) -> None:
    name = running.predictor.bundle.encoder.NAMES[0]
    request = triton.ModelInferRequest(model_name="shapes")
    tensor = request.inputs.add(name=name, datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(texts)
    assert is_no_failure(running, request)


@QUICK
@given(data=st.data())
def test_any_damage_to_a_message(running: Running, data: st.DataObject) -> None:
    encoder, own = running.predictor.bundle.encoder, running.predictor.tensors.inputs[0]
    samples = encoder.encode(make_samples(encoder.model_input.kind, seed=1).inputs)[:1]
    content = bytearray(raw_request(samples, own.name, own.datatype).SerializeToString())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    assert is_no_failure(running, bytes(content[: data.draw(st.integers(1, len(content)))]))


def own_bytes(datatype: str) -> int:
    return {"UINT8": 1, "FP32": 4}.get(datatype, 8)


FRAMES = st.tuples(
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 0x2D, 255]),
    st.sampled_from([0, 1, 3, 2**31]),
    st.binary(max_size=40),
)


@QUICK
@given(frames=st.lists(FRAMES, max_size=8), preface=st.sampled_from([PREFACE, PREFACE, PREFACE, b""]))
def test_any_frames_of_http2(running: Running, frames: list[tuple[int, int, int, bytes]], preface: bytes) -> None:
    content = b"".join(
        len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
        for kind, flags, stream, body in frames
    )
    with socket.create_connection(("127.0.0.1", running.server.port), 20) as client:
        client.sendall(preface + SETTINGS + content)
        client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while client.recv(65536):
                pass
    assert running.call("ServerLive", b"").live
