"""Bodies of every size and pace: what uvicorn's own request does for its connection, every request of ours does too."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop
from certificates import Authority
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_service import LiveService
from test_fast_path import binary, connect, http, read_replies, wait_until

from thresher.serving.core.bundle import Bundle
from thresher.serving.core.limits import MAX_BODY_BYTES
from thresher.serving.http.uvicorn_protocol import SINGLE_HEADERS
from thresher.serving.tls import Tls

INFER = "/v2/models/shapes/infer"
IMAGE = np.random.default_rng(5).integers(0, 256, (8, 6), np.uint8)
BUFFERS = (4096, 16384, 65536, 131072, 262144)
"""Of sockets, asyncio, uvicorn's flow control, our own limits, and asyncio's reads."""
SIZES = sorted({900, 2**20, 65536 + 200, *(size + more for size in BUFFERS for more in (-1, 0, 1))})


@pytest.fixture(scope="module")
def live(bundle: Bundle) -> Iterator[LiveService]:
    service = LiveService(bundle, max_seconds=8)
    yield service
    assert service.predictor.budget.used == 0
    service.close()


def document(path: str, size: int) -> bytes:
    """Return a request of exactly ``size`` bytes in JSON."""
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 8, 6], "data": IMAGE.reshape(-1).tolist()}
    body = json.dumps({"image": IMAGE.tolist()} if path == "/predict" else {"inputs": [tensor]}).encode()
    assert len(body) <= size
    return body.ljust(size)


def post(path: str, size: int, **headers: str) -> bytes:
    return http("POST", path, document(path, size), **{"content_type": "application/json", **headers})


def chunked(path: str, body: bytes, piece: int, trailers: bytes = b"") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    parts = [body[start : start + piece] for start in range(0, len(body), piece)]
    chunks = b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in parts)
    return head.encode() + chunks + b"0\r\n" + trailers + b"\r\n"


def predictions(body: bytes) -> Any:
    """Return the answer's probabilities; the routes write other numbers of digits for the same bits."""
    answer = json.loads(body)
    if "outputs" in answer:
        given = answer["outputs"][0]["data"]
    else:
        given = list(answer["predictions"][0]["probabilities"].values())
    return np.array(given, np.float32).tolist()


@pytest.fixture(scope="module")
def right(live: LiveService) -> Any:
    return predictions(live.client.post("/predict", json={"image": IMAGE.tolist()}).content)


def send_pieces(connection: socket.socket, request: bytes, size: int, pause: float) -> None:
    """Send ``request`` so that the service reads it in pieces."""
    for start in range(0, len(request), size):
        connection.sendall(request[start : start + size])
        time.sleep(pause)


@pytest.mark.oddity("Service", "bodies of any size in pieces, also over 64 KiB", "answered as in one piece")
@pytest.mark.parametrize("path", ["/predict", INFER])
def test_bodies_around_every_buffer(live: LiveService, right: Any, path: str) -> None:
    """All on one connection: in one write, head and body apart, in pieces with pauses, and in chunks."""
    with connect(live) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for size in SIZES:
            request = post(path, size)
            connection.sendall(request)
            head = request.index(b"\r\n\r\n") + 4
            connection.sendall(request[:head])
            time.sleep(0.002)
            connection.sendall(request[head:])
            send_pieces(connection, request, 1 + len(request) // 4, 0.004)
            connection.sendall(chunked(path, document(path, size), 1 + size // 3, b"x-note: trailing\r\n"))
            for status, _, body in read_replies(connection, 4):
                assert status == 200, (size, body)
                assert predictions(body) == right


def test_one_byte_at_a_time(live: LiveService, right: Any) -> None:
    with connect(live) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for path in ("/predict", INFER):
            send_pieces(connection, post(path, 900), 1, 0)
            ((status, _, body),) = read_replies(connection, 1)
            assert (status, predictions(body)) == (200, right)
            send_pieces(connection, chunked(path, document(path, 900), 7), 1, 0)
            assert read_replies(connection, 1)[0][0] == 200


def test_binary_tensors_of_every_size_in_pieces(live: LiveService) -> None:
    for count in (1, 1365, 1366, 2730, 5461, 5462, 20_000):  # 48 bytes each
        body, headers = binary(np.broadcast_to(IMAGE, (count, 1, 8, 6)))
        request = http("POST", INFER, body, inference_header_content_length=headers["Inference-Header-Content-Length"])
        with connect(live) as connection:
            send_pieces(connection, request, 50_000, 0.002)
            ((status, headers, answer),) = read_replies(connection, 1)
            assert status == 200
            values = np.frombuffer(answer[int(headers["inference-header-content-length"]) :], np.float32)
            assert len(values) == 3 * count


def test_pipelined_bodies_of_all_sizes_keep_their_order(live: LiveService) -> None:
    sizes = [900, 70_000, 1000, 300_000, 900, 65_537, 65_536]
    requests = [post("/predict", size, x_request_id=f"n{number}") for number, size in enumerate(sizes)]
    requests.insert(3, http("GET", "/v2", x_request_id="between"))
    for piece in (2**20, 30_000):
        with connect(live) as connection:
            send_pieces(connection, b"".join(requests), piece, 0.001)
            replies = read_replies(connection, len(requests))
        assert [status for status, _, _ in replies] == [200] * len(requests)
        names = [headers["x-request-id"] for _, headers, body in replies if b"predictions" in body]
        assert names == [f"n{number}" for number in range(len(sizes))]


def test_the_largest_body_is_taken_and_a_larger_one_told(live: LiveService, right: Any) -> None:
    with connect(live) as connection:
        connection.sendall(post(INFER, MAX_BODY_BYTES))
        ((status, _, body),) = read_replies(connection, 1)
        assert (status, predictions(body)) == (200, right)
    large = document(INFER, MAX_BODY_BYTES + 1)
    for request in (http("POST", INFER, large, content_type="application/json"), chunked(INFER, large, 100_000)):
        with connect(live) as connection:
            connection.sendall(request)  # all of it, as clients do that look at the answer afterwards
            ((status, headers, body),) = read_replies(connection, 1)
            assert (status, headers["connection"]) == (413, "close")
            assert "larger than 32 MiB" in json.loads(body)["error"]
            assert connection.recv(1) == b""
    assert live.client.get("/v2").status_code == 200


@pytest.mark.parametrize("size", [900, 70_000, 300_000])
def test_expect_continue_is_answered_before_the_body(live: LiveService, right: Any, size: int) -> None:
    request = post("/predict", size, expect="100-continue")
    head = request.index(b"\r\n\r\n") + 4
    with connect(live) as connection:
        for _ in range(2):
            connection.sendall(request[:head])
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(request[head:])
            ((status, _, body),) = read_replies(connection, 1)
            assert (status, predictions(body)) == (200, right)


def test_a_body_that_is_refused_needs_not_come(live: LiveService) -> None:
    """Whether it comes all the same is unknown, so that the connection ends."""
    request = post("/predict", 900, expect="100-continue").replace(b"/predict", b"/nowhere")
    too_large = request.replace(b"content-length: 900", b"content-length: 900000000")
    for asked, status in ((request, 404), (too_large, 413)):
        with connect(live) as connection:
            connection.sendall(asked[: asked.index(b"\r\n\r\n") + 4])
            assert read_replies(connection, 1)[0][0] == status
            assert connection.recv(1) == b""


def test_http_1_0_is_answered_and_closed(live: LiveService, right: Any) -> None:
    for size in (900, 100_000):
        with connect(live) as connection:
            connection.sendall(post("/predict", size).replace(b"HTTP/1.1", b"HTTP/1.0"))
            ((status, headers, body),) = read_replies(connection, 1)
            assert (status, headers["connection"], predictions(body)) == (200, "close", right)
            assert connection.recv(1) == b""


@pytest.mark.oddity("Service", "Upgrade: h2c or websocket with a body", "answered in HTTP/1.1, body and all")
@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
def test_an_upgrade_is_not_taken_and_the_body_is_read(live: LiveService, right: Any, protocol: str) -> None:
    with connect(live) as connection:
        for size in (900, 100_000):
            upgrade = {"connection": "Upgrade, HTTP2-Settings", "upgrade": protocol, "http2_settings": "AAMAAABkAAQ"}
            for piece in (2**20, 333, size // 2):
                send_pieces(connection, post("/predict", size, **upgrade), piece, 0)
                ((status, headers, body),) = read_replies(connection, 1)
                assert (status, predictions(body)) == (200, right)
                assert "upgrade" not in headers
        whole = chunked("/predict", document("/predict", 900), 100)
        connection.sendall(whole.replace(b"host: a", b"host: a\r\nconnection: upgrade, close\r\nupgrade: h2c"))
        ((status, headers, body),) = read_replies(connection, 1)
        assert (status, headers["connection"], predictions(body)) == (200, "close", right)


def test_many_upgrades_in_one_piece(live: LiveService) -> None:
    one = http("POST", "/predict", b"{", content_type="application/json", connection="upgrade", upgrade="h2c")
    with connect(live) as connection:
        connection.sendall(one * 1500)
        assert {status for status, _, _ in read_replies(connection, 1500)} == {400}


def test_who_asks_for_the_head_gets_no_body(live: LiveService) -> None:
    with connect(live) as connection:
        connection.sendall(http("HEAD", "/v2") + http("HEAD", "/nowhere") + http("GET", "/v2"))
        file = connection.makefile("rb")
        for status in (b"200", b"404"):
            assert file.readline().split()[1] == status
            while file.readline().strip():
                pass
        assert file.readline().split()[1] == b"200"


def test_a_half_closed_connection_is_one_that_hung_up(live: LiveService) -> None:
    """As with uvicorn: what is answered by then arrives, and nothing stays."""
    with connect(live) as connection:
        connection.sendall(post("/predict", 900))
        ((status, _, _),) = read_replies(connection, 1)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
        assert status == 200


def test_a_client_that_hangs_up_in_mid_body_holds_nothing(live: LiveService) -> None:
    budget = live.predictor.budget
    before = budget.released
    for request in (post("/predict", 30_000), post(INFER, 500_000), chunked(INFER, document(INFER, 500_000), 1000)):
        for is_reset in (False, True):
            connection = connect(live)
            connection.sendall(post("/predict", 900) + request[: len(request) // 2])
            assert read_replies(connection, 1)[0][0] == 200
            wait_until(lambda: budget.used > 0)
            if is_reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            wait_until(lambda: budget.used == 0)
    assert budget.released > before


@pytest.mark.oddity("Service", "more bytes in flight than the service has for all requests", "503 with Retry-After")
def test_bodies_beyond_the_budget_are_told_to_come_again(live: LiveService) -> None:
    budget, whole = live.predictor.budget, live.predictor.budget.limit
    budget.limit = 3 * 2**20
    holders = [connect(live) for _ in range(2)]
    try:
        for number, holder in enumerate(holders, 1):
            holder.sendall(post(INFER, 2**20)[: 2**19])
            wait_until(lambda number=number: budget.used == number * 2**20)
        large = document(INFER, 2**20 + 5000)
        for request in (http("POST", INFER, large, content_type="application/json"), chunked(INFER, large, 50_000)):
            with connect(live) as connection:
                connection.sendall(request)
                ((status, headers, body),) = read_replies(connection, 1)
                assert (status, headers["retry-after"]) == (503, "1")
                assert "in flight" in json.loads(body)["error"]
        never = http("POST", INFER, document(INFER, 2**22), content_type="application/json")
        with connect(live) as connection:
            connection.sendall(never)
            assert read_replies(connection, 1)[0][0] == 413
        with connect(live) as connection:
            connection.sendall(chunked(INFER, document(INFER, 2**22), 50_000))
            assert read_replies(connection, 1)[0][0] == 503  # as long as nobody can tell that it is too large
        assert live.client.post("/predict", content=document("/predict", 900), headers=JSON).status_code == 200
        for holder in holders:
            holder.close()
        wait_until(lambda: budget.used == 0)
        with connect(live) as connection:
            connection.sendall(chunked(INFER, document(INFER, 2**22), 50_000))
            assert read_replies(connection, 1)[0][0] == 413
        packed = gzip.compress(document("/predict", 2**22))
        answer = live.client.post("/predict", content=packed, headers={**JSON, "Content-Encoding": "gzip"})
        assert (answer.status_code, "Send less at a time" in answer.text) == (413, True)
    finally:
        for holder in holders:
            holder.close()
        budget.limit = whole
    wait_until(lambda: budget.used == 0)


JSON = {"Content-Type": "application/json"}
HEADS = [
    (b"x: " + b"a" * 2**16 + b"\r\n", 431, "64 KiB"),
    (b"x: " + b"a" * 2**24 + b"\r\n", 431, "64 KiB"),
    (b"".join(b"x%d: 1\r\n" % number for number in range(101)), 431, "100 headers"),
    (b"a" * 2**17 + b": 1\r\n", 431, "64 KiB"),
    (b"content-length: 5\r\ntransfer-encoding: chunked\r\n", 400, "not valid HTTP/1.1"),
    (b"content-length: 5\r\ncontent-length: 6\r\n", 400, "not valid HTTP/1.1"),
    (b"content-length: -5\r\n", 400, "not valid HTTP/1.1"),
    (b"transfer-encoding: gzip, chunked\r\n", 501, "Only the Transfer-Encoding chunked"),
    (b"content-length: " + b"0" * 5000 + b"1\r\n", 400, "not valid HTTP/1.1"),
    *((b"%b: a\r\n%b: b\r\n" % (name, name), 400, "is given twice") for name in sorted(SINGLE_HEADERS)),
    (b"x\0y: 1\r\n", 400, "not valid HTTP/1.1"),
]


@pytest.mark.oddity("Service", "headers of 200 MB, of 101 fields, or contradicting", "431 or 400 at once")
@pytest.mark.parametrize(("head", "status", "says"), HEADS)
def test_heads_are_bounded(live: LiveService, head: bytes, status: int, says: str) -> None:
    with connect(live) as connection:
        host = b"" if head.startswith(b"host") else b"host: a\r\n"
        connection.sendall(post("/predict", 900) + b"GET /v2 HTTP/1.1\r\n" + host + head + b"\r\n")
        good, bad = read_replies(connection, 2)
        assert (good[0], bad[0], bad[1]["connection"]) == (200, status, "close")
        assert says in json.loads(bad[2])["error"]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_http_1_1_needs_a_host(live: LiveService, version: bytes) -> None:
    """RFC 9112, section 3.2: a server must answer 400."""
    with connect(live) as connection:
        connection.sendall(b"GET /v2 HTTP/%b\r\n\r\n" % version)
        ((status, _, body),) = read_replies(connection, 1)
    assert (status, b"no Host header" in body) == ((400, True) if version == b"1.1" else (200, False))


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1", 414),
        (b"GET /" + b"a" * 2**22 + b" HTTP/1.1", 414),
        (b"CONNECT there:443 HTTP/1.1", 405),
        (b"PRI * HTTP/2.0", 400),
        (b"GET /v2 HTTP/2.0", 400),
        (b"GET /v2", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET x HTTP/1.1", 400),
        (b"\r\n" * 100_000, 431),
    ],
)
def test_request_lines_that_are_none_are_told(live: LiveService, start: bytes, status: int) -> None:
    with connect(live) as connection:
        connection.sendall(start + b"\r\nhost: a\r\n\r\n")
        ((given, headers, body),) = read_replies(connection, 1)
        assert (given, headers["content-type"]) == (status, "application/json")
        assert json.loads(body)["error"]


@pytest.mark.oddity("Service", "a chunk that announces 2^64 bytes, or 33 MiB", "413 at once, not waited for")
@pytest.mark.parametrize("size", [b"ffffffffffffffff", b"2100001", b"0000000002100001;note=1"])
@pytest.mark.parametrize("before", [b"", b"3\r\nabc\r\n"], ids=["first", "second"])
@pytest.mark.parametrize("after", [b"", b"abc"], ids=["alone", "begun"])
def test_a_chunk_larger_than_a_body_may_be_is_refused_when_announced(
    live: LiveService, size: bytes, before: bytes, after: bytes
) -> None:
    head = b"POST /v2/models/shapes/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    whole = head + before + size + b"\r\n" + after
    for cut in (0, len(head) - 1, len(head), len(head + before) + 4, len(whole) - len(after) - 1):
        with connect(live) as connection:
            send_pieces(connection, whole, cut or len(whole), 0.01)
            ((status, _, body),) = read_replies(connection, 1)
            assert (status, "larger than 32 MiB" in json.loads(body)["error"]) == (413, True), cut
    assert live.predictor.budget.used == 0


@pytest.mark.parametrize("path", ["/predict", INFER])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["fast", "app"])
def test_what_never_fits_beside_its_own_body_is_not_told_to_come_again(
    live: LiveService, path: str, is_chunked: bool
) -> None:
    """The body fits, and with what it is decoded to it never will: 503 would be tried again for ever."""
    budget, whole = live.predictor.budget, live.predictor.budget.limit
    body = document(path, 2000)
    request = chunked(path, body, 500) if is_chunked else post(path, 2000)
    try:
        for left, wanted in ((10, 413), (1000, 200)):
            budget.limit = len(body) + left
            with connect(live) as connection:
                connection.sendall(request)
                ((status, _, answer),) = read_replies(connection, 1)
                assert status == wanted
                assert wanted == 200 or "this service has 0.0 MiB for all requests" in json.loads(answer)["error"]
    finally:
        budget.limit = whole


def test_trailers_are_bounded_and_no_headers(live: LiveService) -> None:
    body = document("/predict", 900)
    with connect(live) as connection:
        connection.sendall(chunked("/predict", body, 300, b"x-request-id: mine\r\ncontent-encoding: br\r\n"))
        ((status, headers, _),) = read_replies(connection, 1)
        assert (status, headers["x-request-id"] == "mine") == (200, False)
        connection.sendall(chunked("/predict", body, 300, b"x: " + b"a" * 300_000 + b"\r\n"))
        assert read_replies(connection, 1)[0][0] == 431


def test_a_trailer_that_looks_like_a_size_is_none_wherever_it_is_cut(live: LiveService) -> None:
    trailer = b"deadbeefdeadbeef: 1\r\n"
    whole = chunked("/predict", document("/predict", 900), 300, trailer)
    for cut in range(len(whole) - len(trailer) - 8, len(whole)):
        with connect(live) as connection:
            connection.sendall(whole[:cut])
            live.finish_turn()
            connection.sendall(whole[cut:])
            assert read_replies(connection, 1)[0][0] == 200, whole[:cut][-20:]


def test_a_damaged_chunk_answers_what_came_before_it(live: LiveService) -> None:
    with connect(live) as connection:
        whole = chunked("/predict", document("/predict", 900), 300)
        connection.sendall(post(INFER, 900) + whole.replace(b"12c;", b"zzz;"))
        assert [status for status, _, _ in read_replies(connection, 2)] == [200, 400]
        assert connection.recv(1) == b""


def test_a_crowd_behind_one_request_is_bounded(live: LiveService) -> None:
    with connect(live) as connection:
        connection.sendall(post(INFER, 100_000) + http("GET", "/v2") * 150)
        replies = read_replies(connection, 102)
        assert [status for status, _, _ in replies] == [200] * 101 + [503]


@pytest.mark.oddity("Service", "a client that sends requests and reads no answers", "not read any further; then cut")
def test_a_client_that_reads_no_answers_is_cut(bundle: Bundle) -> None:
    """Nothing more of it is answered while it does not read, and after its time nothing is kept for it."""
    service = LiveService(bundle, max_seconds=1)
    host, port = service.address.split(":")
    body, more = binary(np.broadcast_to(IMAGE, (20_000, 1, 8, 6)))
    request = http("POST", INFER, body, inference_header_content_length=more["Inference-Header-Content-Length"])
    try:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((host, int(port)))
            connection.setblocking(False)
            sent = 0
            with pytest.raises(ConnectionError):
                for _ in range(1000):
                    try:
                        sent += connection.send(request[sent % len(request) :])
                    except BlockingIOError:
                        time.sleep(0.01)
        assert sent < 60 * len(request)
        wait_until(lambda: service.predictor.budget.used == 0)
        assert service.client.get("/v2").status_code == 200
    finally:
        service.close()


def test_the_end_of_the_service_answers_a_body_on_its_way(bundle: Bundle, right: Any) -> None:
    """And waits for no client that asked for nothing, or sent half a head."""
    service = LiveService(bundle)
    requests = [post(INFER, 900), post(INFER, 300_000), post("/predict", 900, expect="100-continue")]
    idle, half, *bodies = [connect(service) for _ in range(2 + len(requests))]
    half.sendall(b"POST /predict HTTP/1.1\r\nhost:")
    for connection, request in zip(bodies, requests, strict=True):
        connection.sendall(request[:-10])
    wait_until(lambda: service.predictor.budget.used == 301_800)
    ending = threading.Thread(target=service.close)
    ending.start()
    for connection in (idle, half):
        assert connection.recv(1) == b""
    for connection, request in zip(bodies, requests, strict=True):
        connection.sendall(request[-10:])
        if b"100-continue" in request:
            assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        ((status, headers, body),) = read_replies(connection, 1)
        assert (status, headers["connection"], predictions(body)) == (200, "close", right)
    ending.join(20)
    assert not ending.is_alive()
    for connection in (idle, half, *bodies):
        connection.close()


PACKED = {
    "gzip": gzip.compress,
    "GZip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw deflate": lambda content: zlib.compress(content, wbits=-15),
    "padded": lambda content: gzip.compress(content) + bytes(100),
    "two members": lambda content: gzip.compress(content[:100]) + gzip.compress(content[100:]),
}


@pytest.mark.oddity("Service", "bodies in gzip or deflate", "accepted; what unpacks to more than 32 MiB is 413")
@pytest.mark.parametrize("path", ["/predict", INFER])
@pytest.mark.parametrize("kind", PACKED)
def test_compressed_bodies(live: LiveService, right: Any, path: str, kind: str) -> None:
    encoding = {"raw deflate": "deflate", "two members": "gzip", "padded": "gzip"}.get(kind, kind)
    for size in (900, 200_000):
        content = PACKED[kind](document(path, size))
        answer = live.client.post(path, content=content, headers={**JSON, "Content-Encoding": encoding})
        assert answer.status_code == 200, answer.text
        assert predictions(answer.content) == right


@pytest.mark.parametrize(
    ("content", "encoding", "status", "says"),
    [
        (gzip.compress(bytes(40 * 2**20), mtime=0), "gzip", 413, "larger than 32 MiB"),
        (gzip.compress(b"{}" * 50, mtime=0)[:-9], "gzip", 400, "ends in the middle"),
        (b"", "gzip", 400, "ends in the middle"),
        (b"{}", "gzip", 400, "is not gzip"),
        (zlib.compress(b"{}") + b"more", "deflate", 400, "4 bytes follow"),
        (gzip.compress(b"{}", mtime=0) + b"more", "gzip", 400, "is not gzip"),
        pytest.param(
            gzip.compress(b"", mtime=0) * 200_000,
            "gzip",
            400,
            "more than 4,096 gzip members",
            id="members",
            marks=pytest.mark.oddity(
                "Service", "a gzip body of 200,000 empty members", "400 at once; others wait for nothing"
            ),
        ),
        pytest.param(gzip.compress(b"", mtime=0) + bytes(2**20) + b"x", "gzip", 400, "is not gzip", id="padding"),
        (b"{}", "br", 415, "Allowed: gzip, deflate, identity"),
        (b"{}", "gzip, gzip", 415, "Allowed: gzip, deflate, identity"),
        (b"{}", "x" * 20_000, 415, "Allowed: gzip, deflate, identity"),
    ],
)
def test_compressed_bodies_that_are_refused(
    live: LiveService, content: bytes, encoding: str, status: int, says: str
) -> None:
    for path in ("/predict", INFER, "/explain"):
        answer = live.client.post(path, content=content, headers={**JSON, "Content-Encoding": encoding})
        assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text
        assert len(answer.content) < 1000
        if status == 415:
            assert answer.headers["accept-encoding"] == "gzip, deflate, identity"


@pytest.mark.parametrize("has_tls", [False, True], ids=["open", "TLS"])
def test_under_uvloop_and_tls_as_it_is_served(bundle: Bundle, right: Any, has_tls: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("server")
    tls = Tls({"certfile": str(certificate), "keyfile": str(key)}) if has_tls else None
    service = LiveService(bundle, tls=tls, loop=uvloop.new_event_loop())
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.check_hostname = False

    def connect_to_it() -> socket.socket:
        plain = connect(service)
        return context.wrap_socket(plain) if has_tls else plain

    try:
        with connect_to_it() as connection:
            for size in (900, 65_537, 400_000):
                send_pieces(connection, post(INFER, size) + post("/predict", size), 60_000, 0.001)
                for status, _, body in read_replies(connection, 2):
                    assert (status, predictions(body)) == (200, right)
        for request, wanted in (
            (http("POST", INFER, bytes(MAX_BODY_BYTES + 1), content_type="application/json"), 413),
            (chunked(INFER, bytes(MAX_BODY_BYTES + 1), 2**20), 413),
            (b"GET / HTTP/1.1\r\nx: " + b"a" * 2**23, 431),
        ):
            with connect_to_it() as connection:
                connection.sendall(request)
                ((status, headers, _),) = read_replies(connection, 1)
                assert (status, headers["connection"]) == (wanted, "close")
        for _ in range(3):
            connection = connect_to_it()
            connection.sendall(post(INFER, 300_000)[:100_000])
            connection.close()
        wait_until(lambda: service.predictor.budget.used == 0)
    finally:
        service.close()


def kinds() -> dict[str, tuple[bytes, int]]:
    """Return requests of every kind, and the status that each is answered with."""
    small, large = post("/predict", 900), post(INFER, 70_000)
    parts = chunked("/predict", document("/predict", 900), 200, b"x-note: 1\r\n")
    return {
        "fast path": (small, 200),
        "fast path v2": (post(INFER, 1500), 200),
        "cold": (post("/predict", 900, content_type="application/json; a=b"), 200),
        "large": (large, 200),
        "chunked": (parts, 200),
        "upgrade": (post("/predict", 900, connection="upgrade", upgrade="h2c"), 200),
        "chunked upgrade": (parts.replace(b"host: a", b"host: a\r\nconnection: upgrade\r\nupgrade: h2c"), 200),
        "metadata": (http("GET", "/v2"), 200),
        "missing": (http("POST", "/nowhere", b"x" * 5000), 404),
        "wrong": (http("POST", "/predict", b"{", content_type="application/json"), 400),
        "wrong method": (http("PUT", "/predict", b"{}"), 405),
        "gzip": (
            http("POST", INFER, gzip.compress(document(INFER, 900)), content_encoding="gzip"),
            200,
        ),
    }


KINDS = kinds()
ENDS = {
    "nothing": (b"", 0),
    "garbage": (b"\0\1\2\r\n\r\n", 400),
    "too many headers": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431),
    "a long target": (b"GET /" + b"x" * 9000, 414),
    "a bad chunk": (chunked("/predict", b"x" * 300, 100).replace(b"64;", b"q;"), 400),
    "too large": (b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n", 413),
    "close": (http("GET", "/v2", connection="close"), 200),
}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(sorted(KINDS)), max_size=8),
    st.sampled_from(sorted(ENDS)),
    st.lists(st.floats(0, 1), max_size=5),
)
def test_any_requests_cut_anywhere_are_answered_in_order(
    live: LiveService, names: list[str], end: str, cuts: list[float]
) -> None:
    stream = b"".join(KINDS[name][0] for name in names) + ENDS[end][0]
    expected = [KINDS[name][1] for name in names] + [status for status in (ENDS[end][1],) if status]
    places = [0, *sorted(int(cut * len(stream)) for cut in cuts), len(stream)]
    with connect(live) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, stop in pairwise(places):
            connection.sendall(stream[start:stop])
            time.sleep(0.001)
        assert [status for status, _, _ in read_replies(connection, len(expected))] == expected
        if end != "nothing":
            assert connection.recv(1) == b""
    wait_until(lambda: live.predictor.budget.used == 0)
