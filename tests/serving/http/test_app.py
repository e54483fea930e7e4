"""The HTTP interface answers what ONNX Runtime computes, and every mistake with a 4xx that helps."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tiny_service import CLASS_NAMES, Caller, make_info

from thresher.serving.core import decode_thread
from thresher.serving.core.bundle import Bundle
from thresher.serving.http import body as body_module

IMAGES = np.random.default_rng(2).integers(0, 256, (20, 8, 6), np.uint8)
BLANK = [[0] * 6] * 8
JSON = {"Content-Type": "application/json"}


def file_of(image: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def expected(bundle: Bundle) -> np.ndarray:
    session = onnxruntime.InferenceSession(bundle.onnx_bytes)
    return np.asarray(session.run(None, {"image": IMAGES[:, None]})[0])


def check(response: httpx.Response, expected: np.ndarray) -> None:
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["model"], answer["model_version"]) == ("shapes", "7")
    assert len(answer["predictions"]) == len(expected)
    for prediction, row in zip(answer["predictions"], expected, strict=True):
        np.testing.assert_allclose([prediction["probabilities"][name] for name in CLASS_NAMES], row, atol=1e-6)
        assert prediction["class_index"] == row.argmax()
        assert prediction["label"] == CLASS_NAMES[row.argmax()]


def test_json_image(call: Caller, expected: np.ndarray) -> None:
    for one in (IMAGES[0], IMAGES[0][..., None], IMAGES[0].astype(float)):
        check(call("POST", "/predict", json={"image": one.tolist()}), expected[:1])


def test_json_images(call: Caller, expected: np.ndarray) -> None:
    check(call("POST", "/predict", json={"images": IMAGES.tolist()}), expected)
    check(call("POST", "/predict", json={"images": IMAGES[:1].tolist()}), expected[:1])


def test_large_body_is_decoded_beside_the_loop(
    call: Caller, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_thread, "LARGE_BODY_BYTES", 1)
    check(call("POST", "/predict", json={"images": IMAGES.tolist()}), expected)
    assert call.post('{"images": 3}').status_code == 422


def test_png(call: Caller, expected: np.ndarray) -> None:
    check(call.post(file_of(IMAGES[3]), "image/png"), expected[3:4])


def test_jpeg(call: Caller, bundle: Bundle) -> None:
    content = file_of(IMAGES[3], "JPEG")
    decoded = np.asarray(Image.open(io.BytesIO(content)))[None, None]
    check(
        call.post(content, "image/jpeg"),
        onnxruntime.InferenceSession(bundle.onnx_bytes).run(None, {"image": decoded})[0],
    )


def test_colour_png_becomes_grey(call: Caller, expected: np.ndarray) -> None:
    check(call.post(file_of(np.stack([IMAGES[0]] * 3, axis=-1)), "image/png"), expected[:1])


def test_form_with_one_file_and_with_many(call: Caller, expected: np.ndarray) -> None:
    files = [("image", (f"{n}.png", file_of(image))) for n, image in enumerate(IMAGES)]
    check(call("POST", "/predict", files=files[:1]), expected[:1])
    check(call("POST", "/predict", files=files), expected)


def test_concurrent_requests_get_their_own_answers(call: Caller, expected: np.ndarray) -> None:
    async def work() -> list[httpx.Response]:
        picked = [IMAGES[n % 20].tolist() for n in range(200)]
        return await asyncio.gather(*(call.client.post("/predict", json={"image": one}) for one in picked))

    for n, response in enumerate(call.runner.run(work())):
        check(response, expected[n % 20 : n % 20 + 1])


def too_large_integers() -> str:
    return json.dumps({"image": [[10**400] * 6] * 8})


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("", 400, "Malformed JSON"),
        ("{", 400, "Malformed JSON"),
        ("[1, 2]", 400, "Expected a JSON object"),
        ("{}", 400, "No key given. Send one of: image, images"),
        ('{"imag": []}', 400, "Unknown key 'imag'. Did you mean 'image'? Allowed: image, images."),
        ('{"image": [], "images": []}', 400, "Both keys given"),
        ('{"image": NaN}', 400, "NaN is not a JSON number"),
        ('{"image": [[-Infinity]]}', 400, "-Infinity is not a JSON number"),
        (b"\xff\xfe\xfd", 400, "Malformed JSON"),
        ("[" * 200_000, 400, "nested too deep"),
        ('{"image": ' + "9" * 5000 + "}", 400, "Malformed JSON"),
        ('{"image": ' + "[" * 90 + "]" * 90 + "}", 422, "nested more than 4 deep"),
        ('{"image": 5}', 422, "An image cannot be a number. Expected an image as 8x6 whole numbers"),
        ('{"image": "iVBORw0KGgo="}', 422, "An image cannot be text"),
        ('{"image": null}', 422, "An image cannot be null"),
        ('{"image": {"a": 1}}', 422, "An image cannot be an object"),
        ('{"images": []}', 422, "'images' must be a list of one or more. Each is an image as 8x6"),
        ('{"images": [[]]}', 422, "images[0]: Shape [0] given"),
        (json.dumps({"image": [[0] * 6] * 7}), 422, "Shape [7, 6] given"),
        (json.dumps({"image": [[0] * 6] * 7 + [[0] * 5]}), 422, "Rows of unequal length"),
        (json.dumps({"image": [[0] * 6] * 7 + [[0] * 5 + [True]]}), 422, "got true/false"),
        (json.dumps({"image": [[0] * 6] * 7 + [[0] * 5 + [None]]}), 422, "got null"),
        (json.dumps({"image": [[0] * 6] * 7 + [[0] * 5 + ["9"]]}), 422, "got text"),
        (json.dumps({"image": [[0] * 6] * 7 + [[0] * 5 + [{}]]}), 422, "got an object"),
        (json.dumps({"image": ["x" * 100_000] + [0] * 100_000}), 422, "got text"),
        (json.dumps({"image": [[0.5] * 6] * 8}), 422, "multiplied by 255"),
        (json.dumps({"image": [[-1] * 6] * 8}), 422, "from -1 to -1"),
        (json.dumps({"image": [[256] * 6] * 8}), 422, "from 256 to 256"),
        (json.dumps({"image": [[1e999] * 6] * 8}).replace("Infinity", "1e999"), 400, "a number is too large"),
        (too_large_integers(), 400, "a number is too large"),
        (json.dumps({"image": [[2**63] * 5 + [-1]] * 8}), 422, "Pixels"),
        (json.dumps({"image": [BLANK, BLANK]}), 422, "2 images given for one"),
        (json.dumps({"images": BLANK}), 422, "images[0]: Shape [6] given"),
        (json.dumps({"images": [BLANK, BLANK, [[0.5] * 6] * 8]}), 422, "images[2]: Pixels from 0.5 to 0.5"),
    ],
)
def test_wrong_json_is_explained(call: Caller, body: str | bytes, status: int, says: str) -> None:
    response = call.post(body, "application/json; charset=utf-8")
    assert (response.status_code, says in response.json()["error"]) == (status, True), response.text


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        ("", "No Content-Type given. Allowed: application/json, image/jpeg, image/png, multipart/form-data."),
        ("application/jsn", "Did you mean 'application/json'?"),
        ("application/x-www-form-urlencoded", "Content-Type 'application/x-www-form-urlencoded' given."),
    ],
)
def test_wrong_content_type_lists_those_allowed(call: Caller, content_type: str, says: str) -> None:
    response = call.post("{}", content_type)
    assert response.status_code == 415
    assert says in response.json()["error"]
    assert "application/json" in response.headers["accept"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Not a readable PNG or JPEG"),
        (b"GIF89a", "not a PNG or JPEG"),
        (file_of(IMAGES[0])[:-30], "Not a readable PNG or JPEG"),
        (file_of(np.zeros((9, 6), np.uint8)), "Image of 9x6 (height x width) pixels"),
        (file_of(np.zeros((9000, 9000), np.uint8)), "Image of 9000x9000"),
        (file_of(np.zeros((8, 6), np.uint16)), "More than 8 bits"),
    ],
)
def test_wrong_image_is_explained(call: Caller, content: bytes, says: str) -> None:
    for response in (
        call.post(content, "image/png"),
        call("POST", "/predict", files={"image": ("my.png", content)}),
    ):
        assert response.status_code == 422
        assert says in response.json()["error"]
    assert "File 'my.png'" in response.json()["error"]


def test_wrong_form_is_explained(call: Caller) -> None:
    text = call("POST", "/predict", files=[("note", (None, "hello"))])
    assert (text.status_code, "Field 'note' is text" in text.text) == (400, True)
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=x"):
        assert call.post(b"--x\r\n\r\nabc", content_type).status_code == 400
    empty = call.post(b"--x--\r\n", "multipart/form-data; boundary=x")
    assert (empty.status_code, "No file" in empty.text) == (400, True)


@pytest.mark.oddity("Service", "a form of two files that breaks off in the second", "400, not one answer")
def test_a_form_that_breaks_off_is_refused(call: Caller) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + file_of(IMAGES[0])
    kind = "multipart/form-data; boundary=x"
    whole = part + b"\r\n" + part + b"\r\n--x--"
    assert len(call.post(whole, kind).json()["predictions"]) == 2
    for missing in (1, 2, 3, 7, 20):
        response = call.post(whole[:-missing], kind)
        assert (response.status_code, "without its last boundary" in response.text) == (400, True), response.text


def test_large_body_is_refused_declared_or_not(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    num_read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal num_read
        for _ in range(1000):
            num_read += 1
            yield b" " * 1000

    monkeypatch.setattr(body_module, "MAX_BODY_BYTES", 10_000)
    for content in (b" " * 10_001, chunks()):
        response = call.post(content)
        assert response.status_code == 413
        assert response.headers["connection"] == "close"
    assert num_read <= 12


def test_a_body_whose_turn_to_be_decoded_comes_too_late_is_told(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large bodies are decoded one after another: what waited longer than a request may is not even begun."""
    body = json.dumps({"images": IMAGES.tolist()}).ljust(decode_thread.LARGE_BODY_BYTES)
    for waited, status in ((0.5, 200), (2.0, 504)):
        clock = itertools.count(step=waited * call.predictor.timeout)
        monkeypatch.setattr(decode_thread, "perf_counter", lambda clock=clock: next(clock))
        response = call.runner.run(call.client.post("/predict", content=body, headers=JSON))
        assert response.status_code == status
        assert ("before the body could be decoded" in response.text) == (status == 504)


def test_as_many_callers_as_send_hundreds_of_samples_each_are_answered(bundle: Bundle) -> None:
    call = Caller(replace(bundle, info=make_info(max_batch_size=64)))

    async def work() -> list[np.ndarray]:
        images = np.zeros((191, 1, 8, 6), np.uint8)
        return await asyncio.gather(*(call.predictor.infer(images) for _ in range(64)))

    answers = call.runner.run(work())
    call.runner.close()
    assert [len(answer) for answer in answers] == [191] * 64


def test_overload_says_when_to_come_back(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue of a batcher that takes one sample at a time holds as many as batches."""
    monkeypatch.setattr("thresher.serving.core.predictor.MAX_WAITING_BATCHES", 64)
    call = Caller(replace(bundle, info=make_info(max_batch_size=1)))

    async def work() -> list[httpx.Response]:
        posts = (call.client.post("/predict", json={"image": BLANK}) for _ in range(200))
        return await asyncio.gather(*posts)

    responses = call.runner.run(work())
    call.runner.close()
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 64
    refused = responses[statuses.index(503)]
    assert refused.headers["retry-after"] == "1"
    assert "64 samples wait, of at most 64" in refused.json()["error"]
    assert refused.headers["x-request-id"]


def test_client_that_hangs_up_frees_its_place(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    left = asyncio.Event()

    async def wait_for_ever(*_: Any) -> None:
        try:
            await asyncio.sleep(10)
        finally:
            left.set()

    async def work() -> None:
        body = json.dumps({"image": BLANK}).encode()
        messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: Any) -> None:
            pass

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "query_string": b""}
        await call.app(scope, receive, send)
        await asyncio.wait_for(left.wait(), 1)

    monkeypatch.setattr(call.predictor, "infer", wait_for_ever)
    call.runner.run(work())


def test_other_methods_get_a_hint(call: Caller) -> None:
    response = call("GET", "/predict")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "Send a POST" in response.json()["error"]
    assert call("DELETE", "/").status_code == 405
    assert call("GET", "/predictions").status_code == 404


def test_page_for_programs_and_for_browsers(call: Caller) -> None:
    about = call("GET", "/").json()
    assert (about["model"], about["candidate"], about["model_version"]) == ("shapes", "half_int8", "7")
    page = call("GET", "/", headers={"Accept": "text/html,*/*"})
    assert (page.status_code, page.headers["location"]) == (307, "ui")
    assert call("GET", "/ui").headers["content-type"].startswith("text/html")


def test_pasted_example_sends_an_image_that_is_understood(call: Caller) -> None:
    make_image = call("GET", "/").json()["example"].rpartition("|")[0]
    content = subprocess.run(make_image, shell=True, capture_output=True, check=True).stdout
    assert call.post(content, "image/png").status_code == 200


@pytest.mark.parametrize("host", ["a;rm -rf /", "$(id)", "[", "<script>", "", "x" * 5000 + ":1e9"])
def test_page_never_repeats_a_strange_host(call: Caller, host: str) -> None:
    assert call("GET", "/", headers={"Host": host}).json()["example"].endswith("http://localhost:3000/predict")
