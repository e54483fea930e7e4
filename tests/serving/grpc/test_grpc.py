"""The gRPC server answers every client as the model does, and every mistake with a status that helps."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as client
import tritonclient.grpc.aio as aio_client
import uvloop
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from helpers.any_modality import MODALITIES, TASKS, as_json, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx
from raw_http2 import GRPC, RawHttp2
from tiny_grpc import Running, raw_request, triton, typed_request
from tiny_service import CLASS_NAMES, make_info
from tritonclient.utils import InferenceServerException

from thresher.serving.core import decode_thread
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.errors import DeadlineError, OverloadedError
from thresher.serving.core.limits import MAX_BODY_BYTES
from thresher.serving.grpc.messages import REQUESTS, SERVICE
from thresher.serving.grpc.server import start_rpc_server
from thresher.serving.sockets import PortError

IMAGES = np.random.default_rng(2).integers(0, 256, (20, 1, 8, 6), np.uint8)


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module", params=LOOPS.values(), ids=LOOPS.keys())
def running(bundle: Bundle, request: pytest.FixtureRequest) -> Iterator[Running]:
    server = Running(bundle, request.param)
    yield server
    server.close()


def raw_output(answer: Any, place: int = 0) -> np.ndarray:
    output = answer.outputs[place]
    dtype = {"FP32": np.float32, "FP64": np.float64}[output.datatype]
    return np.frombuffer(answer.raw_output_contents[place], dtype).reshape(output.shape)


def triton_input(name: str, array: np.ndarray, datatype: str) -> client.InferInput:
    tensor = client.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array)
    return tensor


def test_tritonclient_asks_everything(running: Running) -> None:
    with client.InferenceServerClient(running.address) as triton_client:
        assert triton_client.is_server_live() and triton_client.is_server_ready()
        assert triton_client.is_model_ready("shapes") and triton_client.is_model_ready("Shapes", "7")
        assert triton_client.get_server_metadata().name == "thresher"
        metadata = triton_client.get_model_metadata("shapes", as_json=True)
        assert metadata["platform"] == "onnx_onnxv1" and metadata["versions"] == ["7"]
        assert metadata["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": ["-1", "1", "8", "6"]}]
        assert [output["name"] for output in metadata["outputs"]] == ["probabilities", "label", "class_index"]
        with pytest.raises(InferenceServerException, match=r"NOT_FOUND.*Served here: shapes"):
            triton_client.is_model_ready("shapse")


def test_tritonclient_infers(running: Running) -> None:
    outputs = [client.InferRequestedOutput(name) for name in ("class_index", "probabilities", "label")]
    with client.InferenceServerClient(running.address) as triton_client:
        given = triton_client.infer(
            "shapes", [triton_input("image", IMAGES, "UINT8")], outputs=outputs, request_id="a 1"
        )
    expected = running.infer(IMAGES)
    assert np.array_equal(given.as_numpy("probabilities"), expected)
    assert np.array_equal(given.as_numpy("class_index"), expected.argmax(axis=1))
    assert given.as_numpy("label").tolist() == [CLASS_NAMES[index].encode() for index in expected.argmax(axis=1)]
    response = given.get_response()
    assert (response.model_name, response.model_version, response.id) == ("shapes", "7", "a 1")
    assert [output.name for output in response.outputs] == ["class_index", "probabilities", "label"]


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_tritonclient_infers_on_a_loop_many_at_a_time(running: Running, compression: str | None) -> None:
    async def work() -> list[np.ndarray]:
        async with aio_client.InferenceServerClient(running.address) as triton_client:

            async def one(image: np.ndarray) -> np.ndarray:
                tensor = triton_input("image", image[None], "UINT8")
                answer = await triton_client.infer("shapes", [tensor], compression_algorithm=compression)
                return np.asarray(answer.as_numpy("probabilities"))

            return await asyncio.gather(*(one(image) for image in IMAGES))

    given = np.concatenate(asyncio.run(work()))
    np.testing.assert_allclose(given, running.infer(IMAGES), rtol=0, atol=1e-7)


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("task", TASKS)
def test_every_modality_raw_typed_and_as_bytes(modality: str, task: str) -> None:
    encoder = make_encoder(modality, task)
    onnx = make_sum_onnx(encoder.model_input, len(encoder.class_names))
    server, inputs = Running(Bundle(onnx, encoder, make_info())), make_samples(modality, task, seed=3).inputs
    name, dtype = encoder.model_input.name, encoder.model_input.dtype
    datatype, field = {
        "uint8": ("UINT8", "uint_contents"),
        "int64": ("INT64", "int64_contents"),
        "float32": ("FP32", "fp32_contents"),
        "float64": ("FP64", "fp64_contents"),
    }[str(dtype)]
    samples = encoder.encode(inputs)[:5]
    try:
        expected = server.infer(samples)
        assert np.array_equal(raw_output(server.call("ModelInfer", raw_request(samples, name, datatype))), expected)
        typed = server.call("ModelInfer", typed_request(samples, name, datatype, field))
        assert not typed.raw_output_contents
        contents, answered = typed.outputs[0].contents, "fp32_contents" if task == "classification" else "fp64_contents"
        assert np.array_equal(np.array(getattr(contents, answered), expected.dtype), expected.reshape(-1))
        if modality == "series":  # a client may send what it has in float32
            rounded = samples.astype(np.float32)
            answer = server.call("ModelInfer", raw_request(rounded, name, "FP32"))
            assert np.array_equal(raw_output(answer), server.infer(rounded.astype(np.float64)))
        if modality != "image":
            documents = [as_json(inputs, index) for index in range(5)]
            texts = np.array([text if modality == "text" else json.dumps(text) for text in documents], object)
            with client.InferenceServerClient(server.address) as triton_client:
                given = triton_client.infer("shapes", [triton_input(encoder.NAMES[0], texts, "BYTES")])
            assert np.array_equal(given.as_numpy(typed.outputs[0].name), expected)
    finally:
        server.close()


@pytest.mark.oddity("Service", "A text of 30 MB over gRPC", "answered as its beginning, within a second or two")
def test_a_text_as_long_as_a_message_may_be() -> None:
    encoder = make_encoder("text", "classification")
    server = Running(Bundle(make_sum_onnx(encoder.model_input, len(encoder.class_names)), encoder, make_info()))
    word = str(make_samples("text").inputs[0]).split()[0]
    try:
        answers = []
        for count in (encoder.max_length, 30_000_000 // (len(word) + 1)):
            request = triton.ModelInferRequest(model_name="shapes")
            tensor = request.inputs.add(name=encoder.NAMES[0], datatype="BYTES", shape=[1])
            tensor.contents.bytes_contents.append(f"{word} ".encode() * count)
            answers.append(list(server.call("ModelInfer", request).outputs[0].contents.fp32_contents))
        assert answers[0] == answers[1]
    finally:
        server.close()


def test_typed_labels_and_bytes(running: Running) -> None:
    request = typed_request(IMAGES[:2])
    request.id = "é"
    for name in ("label", "class_index", "label"):
        request.outputs.add(name=name)
    answer = running.call("ModelInfer", request)
    best = running.infer(IMAGES[:2]).argmax(axis=1)
    assert list(answer.outputs[0].contents.bytes_contents) == [CLASS_NAMES[index].encode() for index in best]
    assert list(answer.outputs[1].contents.int64_contents) == best.tolist()
    assert answer.id == "é" and len(answer.outputs) == 2


def test_a_large_message_is_decoded_beside_the_loop(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_thread, "LARGE_BODY_BYTES", 1)
    assert np.array_equal(raw_output(running.call("ModelInfer", raw_request(IMAGES))), running.infer(IMAGES))
    assert running.refusal("ModelInfer", b"\xff").code() is StatusCode.INVALID_ARGUMENT


@pytest.mark.oddity("Service", "A large request waits for others to be decoded", "DEADLINE_EXCEEDED, never decoded")
def test_decoding_is_to_begin_within_the_time(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_thread, "LARGE_BODY_BYTES", 1)
    monkeypatch.setattr(running.predictor, "timeout", 0.2)
    go = Event()
    before = asyncio.run_coroutine_threadsafe(decode_thread.decode_in_thread(go.wait, 9), running.loop)
    call = running.method("ModelInfer").future(raw_request(IMAGES))  # without a deadline of its own: the recipe's
    error = call.exception(20)
    go.set()
    assert before.result(10)
    assert error.code() is StatusCode.DEADLINE_EXCEEDED and "before it was decoded" in error.details()
    assert np.array_equal(raw_output(running.call("ModelInfer", raw_request(IMAGES))), running.infer(IMAGES))
    assert running.predictor.budget.used == 0


def test_messages_of_many_frames_both_ways(running: Running) -> None:
    samples = np.tile(IMAGES, (1000, 1, 1, 1))
    assert np.array_equal(raw_output(running.call("ModelInfer", raw_request(samples)))[:20], running.infer(IMAGES))


def change(edit: Callable[[Any], Any], make: Callable[..., Any] = raw_request) -> Any:
    request = make(IMAGES[:2])
    edit(request)
    return request


def reshape(*shape: int) -> Callable[[Any], None]:
    def edit(request: Any) -> None:
        request.inputs[0].shape[:] = shape

    return edit


INVALID = {
    "no message": (b"\x0a\xff", "not a valid inference.ModelInferRequest"),
    "no input": (change(lambda r: r.ClearField("inputs")), "0 inputs given. Expected one of 'image'"),
    "two inputs": (change(lambda r: r.inputs.add()), "2 inputs given"),
    "wrong name": (change(lambda r: setattr(r.inputs[0], "name", "imgae")), "Expected 'image' of UINT8"),
    "wrong datatype": (change(lambda r: setattr(r.inputs[0], "datatype", "FP32")), "Expected 'image' of UINT8"),
    "unknown datatype": (change(lambda r: setattr(r.inputs[0], "datatype", "U8")), "Expected 'image' of UINT8"),
    "batch of 0": (change(reshape(0, 1, 8, 6)), r"Expected \[-1, 1, 8, 6\]"),
    "negative batch": (change(reshape(-2, 1, 8, 6)), r"Expected \[-1, 1, 8, 6\]"),
    "flat": (change(reshape(96)), r"Expected \[-1, 1, 8, 6\]"),
    "transposed": (change(reshape(2, 1, 6, 8)), r"Expected \[-1, 1, 8, 6\]"),
    "too few bytes": (change(reshape(3, 1, 8, 6)), "96 bytes given; UINT8 of shape .* has 144"),
    "too many samples": (change(reshape(2**40, 1, 8, 6)), "Send at most"),
    "too few values": (change(reshape(3, 1, 8, 6), typed_request), "96 values given; shape .* has 144"),
    "wrong field": (typed_request(IMAGES, field="int_contents"), "int_contents given. UINT8 goes in contents.uint_c"),
    "out of range": (
        change(lambda r: r.inputs[0].contents.uint_contents.__setitem__(0, 256), typed_request),
        "values that are not UINT8",
    ),
    "both": (change(lambda r: r.inputs[0].contents.uint_contents.append(1)), "both contents and raw_input_contents"),
    "two raw contents": (change(lambda r: r.raw_input_contents.append(b"")), "2 raw_input_contents given"),
    "unknown output": (change(lambda r: r.outputs.add(name="lable")), "Unknown output 'lable'. .*label"),
    "classification": (
        change(lambda r: r.outputs.add(name="label").parameters["classification"].SetInParent()),
        "parameter 'classification' is not supported",
    ),
    "sequence": (change(lambda r: r.parameters["sequence_id"].SetInParent()), "keeps nothing"),
    "priority": (change(lambda r: r.parameters["priority"].SetInParent()), "in their order"),
    "unknown parameter": (change(lambda r: r.parameters["mine"].SetInParent()), "'mine' is not supported. Allowed: "),
    "long timeout": (change(lambda r: setattr(r.parameters["timeout"], "string_param", "9" * 4000)), "microseconds"),
    "shared memory": (
        change(lambda r: r.inputs[0].parameters["shared_memory_region"].SetInParent()),
        "parameter 'shared_memory_region' is not supported",
    ),
    "timeout of 0": (change(lambda r: r.parameters["timeout"].SetInParent()), "microseconds"),
    "no image": (raw_request(np.array([4, 0, 0, 0, 1, 2, 3, 4], np.uint8)[:8], datatype="BYTES"), "items"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_argument_with_what_was_expected(running: Running, case: str) -> None:
    request, text = INVALID[case]
    error = running.refusal("ModelInfer", request)
    assert error.code() is StatusCode.INVALID_ARGUMENT, error
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(error.details())


def test_unknown_model_version_and_method(running: Running) -> None:
    for edit in ({"model_name": "shape"}, {"model_version": "8"}):
        request = raw_request(IMAGES)
        request.MergeFrom(triton.ModelInferRequest(**edit))
        error = running.refusal("ModelInfer", request)
        assert error.code() is StatusCode.NOT_FOUND and "shapes" in error.details()
    assert running.refusal("ModelMetadata", triton.ModelMetadataRequest(name="x")).code() is StatusCode.NOT_FOUND
    assert running.refusal("ModelConfig", triton.ModelConfigRequest()).code() is StatusCode.UNIMPLEMENTED
    assert running.refusal("ServerLive", b"\xff").code() is StatusCode.INVALID_ARGUMENT


def test_numbers_that_are_none() -> None:
    encoder = make_encoder("tabular", "regression")
    server = Running(Bundle(make_sum_onnx(encoder.model_input), encoder, make_info()))
    row = encoder.encode(make_samples("tabular").inputs)[:1]
    try:
        for wrong in (np.nan, np.inf, -np.inf):
            row[0, 0] = wrong
            for request in (raw_request(row, "row", "FP32"), typed_request(row, "row", "FP32", "fp32_contents")):
                error = server.refusal("ModelInfer", request)
                assert error.code() is StatusCode.INVALID_ARGUMENT and "must be finite" in error.details()
        row[0, 0] = 3e38
        row[0, 1] = 3e38
        assert "no finite answer" in server.refusal("ModelInfer", raw_request(row, "row", "FP32")).details()
        half = json.dumps({"\ud800": 1}).encode()
        request = triton.ModelInferRequest(model_name="shapes")
        request.inputs.add(name=encoder.NAMES[0], datatype="BYTES", shape=[1]).contents.bytes_contents.append(half)
        assert server.refusal("ModelInfer", request).code() is StatusCode.INVALID_ARGUMENT
    finally:
        server.close()


def test_a_message_over_the_limit(running: Running) -> None:
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        error = running.refusal("ModelInfer", bytes(MAX_BODY_BYTES + 1), compression=compression)
        assert error.code() is StatusCode.RESOURCE_EXHAUSTED and "larger than max" in error.details()
    assert running.call("ServerLive", b"").live


def test_request_ids_go_in_and_out(running: Running) -> None:
    method, request = running.method("ModelInfer"), raw_request(IMAGES[:1])
    for given, expected in (("abc-7", "abc-7"), ("x" * 200, None), (None, None)):
        _, call = method.with_call(request, timeout=20, metadata=(("x-request-id", given),) if given else ())
        (answered,) = [value for key, value in call.trailing_metadata() if key == "x-request-id"]
        assert answered == expected if expected else answered and answered != given
    error = running.refusal("ModelInfer", b"\xff", metadata=(("x-request-id", "abc-8"),))
    assert ("x-request-id", "abc-8") in [tuple(item) for item in error.trailing_metadata()]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OverloadedError("9 samples wait."), StatusCode.RESOURCE_EXHAUSTED),
        (DeadlineError("Too late."), StatusCode.DEADLINE_EXCEEDED),
        (ZeroDivisionError("secret"), StatusCode.INTERNAL),
    ],
)
def test_errors_of_the_predictor(
    running: Running, monkeypatch: pytest.MonkeyPatch, error: Exception, status: StatusCode
) -> None:
    async def fail(*_: Any, **__: Any) -> np.ndarray:
        raise error

    monkeypatch.setattr(running.predictor, "infer", fail)
    given = running.refusal("ModelInfer", raw_request(IMAGES))
    assert given.code() is status and "secret" not in given.details()
    retry_after = dict(tuple(item) for item in given.trailing_metadata()).get("retry-after")
    assert retry_after == ("1" if status is StatusCode.RESOURCE_EXHAUSTED else None)


def test_the_deadline_is_the_shortest_of_the_client_s_the_request_s_and_the_recipe_s(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    infer = running.predictor.infer

    async def spy(samples: np.ndarray, protocol: str, timeout: float, *rest: Any) -> np.ndarray:
        given.append(timeout)
        return await infer(samples, protocol, timeout, *rest)

    monkeypatch.setattr(running.predictor, "infer", spy)
    request = raw_request(IMAGES)
    running.method("ModelInfer")(request)
    running.method("ModelInfer")(request, timeout=3)
    request.parameters["timeout"].int64_param = 1_500_000
    running.method("ModelInfer")(request, timeout=3)
    assert given[0] == running.predictor.timeout == 5
    assert 2 < given[1] < 4  # gRPC rounds a deadline up
    assert given[2] == 1.5


class Stuck:
    """Calls of the predictor that end when told to."""

    def __init__(self, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self.cancelled, self._loop = asyncio.Event(), asyncio.Event(), running.loop
        self._go, self._infer = asyncio.Event(), running.predictor.infer
        monkeypatch.setattr(running.predictor, "infer", self.infer)

    async def infer(self, *arguments: Any) -> np.ndarray:
        self.started.set()
        try:
            await self._go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await self._infer(*arguments)

    def go(self) -> None:
        self._loop.call_soon_threadsafe(self._go.set)


def test_a_client_that_leaves_frees_its_place(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for timeout in (None, 0.3):
        stuck = Stuck(running, monkeypatch)
        call = running.method("ModelInfer").future(raw_request(IMAGES), timeout=timeout)
        running.run(stuck.started.wait())
        if timeout is None:
            call.cancel()
        else:
            assert call.exception().code() is StatusCode.DEADLINE_EXCEEDED
        running.run(asyncio.wait_for(stuck.cancelled.wait(), 10))
        monkeypatch.undo()
    assert running.call("ServerLive", b"").live


def test_what_is_no_grpc(running: Running) -> None:
    client = RawHttp2(running.server.port)
    assert client.answer(client.begin(f"/{SERVICE}/ServerLive", GRPC, method="GET", is_whole=True)) == {}
    for path, status in (("/x/y", StatusCode.UNIMPLEMENTED), (f"/{SERVICE}/ServerLive", StatusCode.INVALID_ARGUMENT)):
        answer = client.answer(client.begin(path, GRPC, is_whole=True))
        assert (answer[":status"], answer["grpc-status"]) == ("200", str(status.value[0]))
    client.close()
    with socket.create_connection(("127.0.0.1", running.server.port), 20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while plain.recv(65536):
            pass
    assert running.call("ServerLive", b"").live


def test_a_message_that_does_not_come_is_given_up(running: Running) -> None:
    server = running.run(start_rpc_server(running.predictor, "127.0.0.1", 0, 0.3))
    client = RawHttp2(server.port)
    try:
        for method in (f"/{SERVICE}/ModelInfer", "/grpc.health.v1.Health/Check"):
            stream = client.begin(method, GRPC)
            client.send_message(stream, 1000, 10, 1)
            answer = client.answer(stream)
            assert answer["grpc-status"] == str(StatusCode.DEADLINE_EXCEEDED.value[0])
            assert "0.3 s to arrive" in answer["grpc-message"]
    finally:
        client.close()
        running.run(server.close())


def test_health(running: Running) -> None:
    stub = health_pb2_grpc.HealthStub(running.channel)
    for service in ("", SERVICE):
        status = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status
        assert status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(health_pb2.HealthCheckRequest(service="x"), timeout=20)
    assert refused.value.code() is StatusCode.NOT_FOUND


def test_reflection_describes_all_services(running: Running) -> None:
    database = ProtoReflectionDescriptorDatabase(running.channel)
    assert set(database.get_services()) == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    for name in database.get_services():
        file = database.FindFileContainingSymbol(name)
        assert [f"{file.package}.{service.name}" for service in file.service] == [name]
    file = database.FindFileContainingSymbol(SERVICE)
    assert [method.name for method in file.service[0].method] == list(REQUESTS)


def num_requests(running: Running, outcome: str) -> float:
    running.predictor.metrics.flush()
    labels = {"recipe": "shapes", "model_version": "7", "protocol": "grpc", "outcome": outcome}
    return running.registry.get_sample_value("thresher_requests_total", labels) or 0.0


def test_metrics_count_the_protocol(running: Running) -> None:
    before = {outcome: num_requests(running, outcome) for outcome in ("ok", "invalid", "deadline")}
    running.call("ModelInfer", raw_request(IMAGES))
    running.refusal("ModelInfer", b"\xff")
    running.refusal("ModelInfer", bytes(MAX_BODY_BYTES + 1))  # never taken in
    server = running.run(start_rpc_server(running.predictor, "127.0.0.1", 0, 0.1))
    client = RawHttp2(server.port)
    client.answer(client.begin(f"/{SERVICE}/ModelInfer", GRPC))
    client.close()
    running.run(server.close())
    assert {outcome: num_requests(running, outcome) - count for outcome, count in before.items()} == {
        "ok": 1, "invalid": 2, "deadline": 1
    }  # fmt: skip


def test_close_drains(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Running(bundle)
    stuck = Stuck(server, monkeypatch)
    health = health_pb2_grpc.HealthStub(server.channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    call = server.method("ModelInfer").future(raw_request(IMAGES), timeout=20)
    server.run(stuck.started.wait())
    closing = asyncio.run_coroutine_threadsafe(server.server.close(20), server.loop)
    assert [answer.status for answer in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]
    with grpc.insecure_channel(server.address) as other, pytest.raises(grpc.RpcError) as refused:
        other.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=20)
    assert refused.value.code() is StatusCode.UNAVAILABLE
    assert not closing.done()
    stuck.go()
    assert np.array_equal(raw_output(call.result()), server.infer(IMAGES))
    closing.result(20)
    server.close()


def test_a_port_that_is_not_to_be_had(running: Running) -> None:
    with pytest.raises(PortError, match=r"999\.999\.0\.1"):
        running.run(start_rpc_server(running.predictor, "999.999.0.1", 80))


def test_workers_share_a_port(running: Running) -> None:
    other = running.run(start_rpc_server(running.predictor, "127.0.0.1", running.server.port))
    assert other.port == running.server.port
    running.run(other.close())
