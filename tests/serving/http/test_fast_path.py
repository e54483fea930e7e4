"""The fast listener: each request of a connection gets its own answer, the same on the fast path as beside it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from live_service import LiveService
from tiny_service import CLASS_NAMES, Caller

from thresher.serving.core.bundle import Bundle

IMAGES = np.random.default_rng(3).integers(0, 256, (40, 1, 8, 6), np.uint8)
INFER = "/v2/models/shapes/infer"


@pytest.fixture(scope="module")
def live(bundle: Bundle) -> Iterator[LiveService]:
    service = LiveService(bundle)
    yield service
    service.close()


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> np.ndarray:
    session = onnxruntime.InferenceSession(bundle.onnx_bytes)
    return np.concatenate([session.run(None, {"image": image[None]})[0] for image in IMAGES])


def binary(samples: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request to infer, both ways binary."""
    tensor = {
        "name": "image",
        "datatype": "UINT8",
        "shape": samples.shape,
        "parameters": {"binary_data_size": samples.nbytes},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + samples.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def http(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: test", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def predict(image: np.ndarray, **headers: str) -> bytes:
    body = json.dumps({"image": image[0].tolist()}).encode()
    return http("POST", "/predict", body, content_type="application/json", **headers)


def read_replies(connection: socket.socket, count: int) -> list[tuple[int, dict[str, str], bytes]]:
    """Return status, headers and body of ``count`` replies, in the order in which they come."""
    file, replies = connection.makefile("rb"), []
    for _ in range(count):
        status = int(file.readline().split()[1])
        headers = {}
        while line := file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        replies.append((status, headers, file.read(int(headers["content-length"]))))
    return replies


def connect(live: LiveService) -> socket.socket:
    host, port = live.address.split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_all_ways_give_the_same_bits(live: LiveService, call: Caller, expected: np.ndarray) -> None:
    document = {"images": IMAGES[:, 0].tolist()}
    fast, slow = live.client.post("/predict", json=document), call("POST", "/predict", json=document)
    for response in (fast, slow):
        rows = [[p["probabilities"][name] for name in CLASS_NAMES] for p in response.json()["predictions"]]
        np.testing.assert_array_equal(np.array(rows, np.float32), expected)
    body, headers = binary(IMAGES)
    infer = live.client.post(INFER, content=body, headers=headers)
    head = int(infer.headers["inference-header-content-length"])
    np.testing.assert_array_equal(np.frombuffer(infer.content[head:], np.float32).reshape(-1, 3), expected)
    tensor = {"name": "image", "datatype": "UINT8", "shape": [40, 1, 8, 6], "data": IMAGES.tolist()}
    infer = live.client.post(INFER, json={"inputs": [tensor]})
    data = np.array(infer.json()["outputs"][0]["data"], np.float32)
    np.testing.assert_array_equal(data.reshape(-1, 3), expected)


def test_thousands_of_tagged_requests_at_once_are_never_mixed_up(live: LiveService, expected: np.ndarray) -> None:
    """32 connections, each with 100 requests that carry a name and one image or a few."""

    async def talk(client: httpx.AsyncClient, number: int) -> None:
        dice = np.random.default_rng(number)
        for turn in range(100):
            first = int(dice.integers(0, 36))
            count = 1 if turn % 10 else 4
            body, headers = binary(IMAGES[first : first + count])
            name = f"tag-{number}-{turn}"
            answer = await client.post(INFER, content=body, headers={**headers, "X-Request-Id": name})
            assert answer.headers["x-request-id"] == name
            head = int(answer.headers["inference-header-content-length"])
            values = np.frombuffer(answer.content[head:], np.float32).reshape(-1, 3)
            np.testing.assert_array_equal(values, expected[first : first + count])

    async def work() -> None:
        limits = httpx.Limits(max_connections=32)
        async with httpx.AsyncClient(base_url=f"http://{live.address}", limits=limits, timeout=30) as client:
            await asyncio.gather(*(talk(client, number) for number in range(32)))

    asyncio.run(work())


def test_pipelined_requests_are_answered_in_their_order(live: LiveService, expected: np.ndarray) -> None:
    sent = [predict(IMAGES[0], x_request_id="a"), http("GET", "/v2"), predict(IMAGES[1], x_request_id="b")]
    sent += [predict(IMAGES[2], x_request_id="c"), http("GET", "/nowhere"), predict(IMAGES[3], x_request_id="d")]
    with connect(live) as connection:
        connection.sendall(b"".join(sent))
        replies = read_replies(connection, 6)
    assert [status for status, _, _ in replies] == [200, 200, 200, 200, 404, 200]
    assert [headers.get("x-request-id") for _, headers, _ in replies] == ["a", None, "b", "c", None, "d"]
    for index, image in ((0, 0), (2, 1), (3, 2), (5, 3)):
        probabilities = json.loads(replies[index][2])["predictions"][0]["probabilities"]
        np.testing.assert_array_equal(np.array(list(probabilities.values()), np.float32), expected[image])


def test_a_request_in_many_pieces(live: LiveService) -> None:
    request = predict(IMAGES[0])
    with connect(live) as connection:
        for start in range(0, len(request), 50):
            connection.sendall(request[start : start + 50])
        assert read_replies(connection, 1)[0][0] == 200


def test_connection_closes_when_asked(live: LiveService) -> None:
    with connect(live) as connection:
        connection.sendall(predict(IMAGES[0], connection="close"))
        ((status, headers, _),) = read_replies(connection, 1)
        assert (status, headers["connection"]) == (200, "close")
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (http("POST", "/predict", b"{", content_type="application/json"), 400),
        (http("POST", "/predict", b"", content_type="application/json"), 400),
        (http("POST", "/predict", b'{"image": [[1]]}', content_type="application/json"), 422),
        (http("POST", "/predict", b"{}", content_type="text/csv"), 415),
        (http("POST", "/predict", b"{}", content_type="application/json", content_encoding="br"), 415),
        (http("PUT", "/predict", b"{}", content_type="application/json"), 405),
        (http("POST", INFER, b"{}"), 400),
        (http("POST", INFER, b"{}", inference_header_content_length="7"), 400),
        (http("POST", INFER, b"{}", inference_header_content_length="-1"), 400),
        (http("POST", "/v2/models/circles/infer", b"{}"), 404),
        (http("POST", "/v2/models/shapes/versions/8/infer", b"{}"), 404),
    ],
)
def test_bad_requests_get_a_4xx_and_the_next_one_its_answer(live: LiveService, request_: bytes, status: int) -> None:
    with connect(live) as connection:
        connection.sendall(request_)
        assert read_replies(connection, 1)[0][0] == status
    assert live.client.post("/predict", json={"image": IMAGES[0, 0].tolist()}).status_code == 200


def test_ids_that_could_not_stand_in_a_log_are_replaced(live: LiveService) -> None:
    for given in ("x" * 129, "tab\there", "caf\u00e9"):
        answer = live.client.post(
            "/predict", json={"image": IMAGES[0, 0].tolist()}, headers={"X-Request-Id": given.encode()}
        )
        assert answer.json()["request_id"] == answer.headers["x-request-id"] != given


class Held:
    """The service's model, held in the middle of its run."""

    def __init__(self, bundle: Bundle) -> None:
        self.free, self.entered, self.batch_sizes = threading.Event(), threading.Event(), list[int]()
        self.service = LiveService(bundle)
        predictor: Any = self.service.predictor
        batcher = predictor._batcher
        run = batcher._run

        def hold(samples: np.ndarray) -> np.ndarray:
            self.entered.set()
            assert self.free.wait(20)
            self.batch_sizes.append(len(samples))
            return np.asarray(run(samples))

        # In a thread, as a model that takes long runs, so that the event loop goes on.
        from concurrent.futures import ThreadPoolExecutor

        batcher._run, batcher._executor = hold, ThreadPoolExecutor(1)


@pytest.fixture
def held(bundle: Bundle) -> Iterator[Held]:
    held = Held(bundle)
    yield held
    held.free.set()
    if held.service.loop.is_running():
        held.service.close()


def test_a_client_that_hangs_up_frees_its_place(held: Held) -> None:
    first = connect(held.service)
    first.sendall(predict(IMAGES[0]))
    assert held.entered.wait(10)
    others = [connect(held.service) for _ in range(5)]
    for other in others:
        other.sendall(predict(IMAGES[1]))
    batcher: Any = held.service.predictor._batcher
    wait_until(lambda: batcher.num_waiting == 5)
    for other in others:
        other.close()
    wait_until(lambda: batcher.num_waiting == 0)
    held.free.set()
    assert read_replies(first, 1)[0][0] == 200
    assert held.batch_sizes == [1]
    first.close()


def test_what_came_before_the_end_is_answered(held: Held) -> None:
    connection = connect(held.service)
    connection.sendall(predict(IMAGES[0]))
    assert held.entered.wait(10)
    ending = threading.Thread(target=held.service.close)
    ending.start()
    wait_until(lambda: refuses(held.service))
    held.free.set()
    ((status, headers, _),) = read_replies(connection, 1)
    assert (status, headers["connection"]) == (200, "close")
    ending.join(20)
    assert not ending.is_alive()
    connection.close()


def test_a_request_whose_time_is_up_is_told_so(held: Held) -> None:
    connection = connect(held.service)
    connection.sendall(predict(IMAGES[0]))
    assert held.entered.wait(10)
    held.service.predictor.timeout = 0.01
    late = connect(held.service)
    late.sendall(predict(IMAGES[1]))
    batcher: Any = held.service.predictor._batcher
    wait_until(lambda: batcher.num_waiting == 1)
    threading.Event().wait(0.05)
    held.free.set()
    assert read_replies(connection, 1)[0][0] == 200
    ((status, _, body),) = read_replies(late, 1)
    assert status == 504
    assert b"time was up" in body
    connection.close()
    late.close()


def wait_until(holds: Any) -> None:
    for _ in range(500):
        if holds():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it never held")


def refuses(service: LiveService) -> bool:
    try:
        connect(service).close()
    except OSError:
        return True
    return False


@pytest.fixture(scope="module")
def impatient(bundle: Bundle) -> Iterator[LiveService]:
    service = LiveService(bundle, max_seconds=1.5)
    yield service
    service.close()


def test_a_request_that_does_not_come_is_given_up(impatient: LiveService) -> None:
    whole = predict(IMAGES[0])
    with connect(impatient) as connection:  # nothing was asked, so there is nothing to answer
        assert connection.recv(100) == b""
    for begun in (whole[:20], whole[:-10], whole.replace(b"/json", b"/json;a=b")[:-10]):
        connection = connect(impatient)
        connection.sendall(begun)
        ((status, headers, body),) = read_replies(connection, 1)
        assert (status, headers["connection"]) == (408, "close")
        assert "took more than 1.5 s" in json.loads(body)["error"]
        assert connection.recv(100) == b""
        connection.close()


def test_who_comes_in_time_is_not_given_up(impatient: LiveService) -> None:
    whole = predict(IMAGES[0])
    with connect(impatient) as connection:
        for _ in range(3):  # together longer than one request may take
            connection.sendall(whole[:-10])
            time.sleep(0.6)
            connection.sendall(whole[-10:])
            assert read_replies(connection, 1)[0][0] == 200
        time.sleep(2)  # between requests uvicorn's own patience counts
        connection.sendall(whole)
        assert read_replies(connection, 1)[0][0] == 200
