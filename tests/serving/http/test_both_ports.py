"""A Bento as it is served: BentoML's port and the fast one answer real clients alike."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from test_http_bodies import document, predictions
from tiny_bento import build, free_ports, serve, store_bundle
from tiny_service import make_info

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle, write_bundle
from thresher.serving.sockets import HTTP_PORT

pytestmark = pytest.mark.end_to_end

INFER = "/v2/models/shapes/infer"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service is started, and its log is."""
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def urls(bundle: Bundle, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Where BentoML's server and the fast listener of one Bento answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        model = tmp_path_factory.mktemp("bundle")
        write_bundle(model, bundle.onnx_bytes, bundle.encoder, make_info())
        store_bundle(model)
        bento = build("shapes")
        (fast,) = free_ports(1)
        with serve(bento, ImageEncoder.REQUIREMENTS, folder, **{HTTP_PORT: str(fast)}) as client:
            yield str(client.base_url), f"http://127.0.0.1:{fast}"


IMAGE = [[7] * 6] * 8
TENSOR = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 8, 6], "data": [7] * 48}


def v2(**changes: object) -> bytes:
    """Return a request to infer with ``changes`` to its tensor."""
    return json.dumps({"inputs": [{**TENSOR, **changes}]}).encode()


def v2_with(**more: object) -> bytes:
    """Return a request to infer with ``more`` beside its tensor."""
    return json.dumps({"inputs": [TENSOR], **more}).encode()


GOOD = json.dumps({"image": IMAGE}).encode()
TWICE = json.dumps({"image": IMAGE})[:-1].encode()
ALIKE = (
    ("/predict", GOOD),
    ("/predict", json.dumps({"image": [[7.0] * 6] * 8}).encode()),
    (INFER, v2()),
    (INFER, v2(data=[7, 7.0] * 24)),
)
"""7.0 is as whole as 7, on every route."""
CASES = {
    "nothing": ("/predict", b"", 400, "Malformed JSON"),
    "cut short": ("/predict", GOOD[:-1], 400, "Malformed JSON"),
    "a lone surrogate as a key": ("/predict", b'{"\\ud800": 1}', 400, "half of a surrogate pair"),
    "a lone surrogate as a value": ("/predict", b'{"image": "\\udfff"}', 400, "half of a surrogate pair"),
    "a surrogate in UTF-8": ("/predict", b'{"image": "\xed\xa0\x80"}', 400, "half of a surrogate pair"),
    "Latin-1": ("/predict", b'{"caf\xe9": 1}', 400, "it is not UTF-8"),
    "a byte order mark": ("/predict", b"\xef\xbb\xbf" + GOOD, 400, "byte order mark"),
    "UTF-16": ("/predict", GOOD.decode().encode("utf-16"), 400, "UTF-16 or UTF-32"),
    "UTF-16 without a mark": ("/predict", GOOD.decode().encode("utf-16-le"), 400, "UTF-16 or UTF-32"),
    "UTF-32": ("/predict", GOOD.decode().encode("utf-32-be"), 400, "UTF-16 or UTF-32"),
    "NaN": ("/predict", b'{"image": NaN}', 400, "NaN is not a JSON number"),
    "-Infinity": ("/predict", b'{"image": [-Infinity]}', 400, "-Infinity is not a JSON number"),
    "1e999": ("/predict", b'{"image": 1e999}', 400, "too large"),
    "400 digits": ("/predict", b'{"image": ' + b"9" * 400 + b"}", 400, "too large"),
    "20 digits": ("/predict", b'{"image": [[18446744073709551617]]}', 422, "Shape [1, 1]"),
    "deep": ("/predict", b"[" * 100_000, 400, "nested too deep"),
    "a key twice": ("/predict", TWICE + b', "image": 3}', 400, "key 'image' is given twice"),
    "a key twice deep down": ("/predict", b'{"image": [[{"a": 1, "a": 2}]]}', 400, "key 'a' is given twice"),
    "a long key": ("/predict", b'{"' + b"k" * 100_000 + b'": 1}', 400, "Unknown key"),
    "a key with lines": ("/predict", b'{"a\\r\\nx: 1": 1}', 400, "Unknown key"),
    "v2 cut short": (INFER, v2()[:-1], 400, "Malformed JSON"),
    "v2 lone surrogate": (INFER, v2(name="\ud800"), 400, "half of a surrogate pair"),
    "v2 UTF-16": (INFER, v2().decode().encode("utf-16"), 400, "UTF-16 or UTF-32"),
    "v2 NaN": (INFER, v2(data=[float("nan")] * 48), 400, "NaN is not a JSON number"),
    "v2 deep": (INFER, b'{"inputs": ' + b"[" * 5000, 400, "nested too deep"),
    "v2 key twice": (INFER, v2().replace(b'"name"', b'"shape": [1], "name"'), 400, "'shape' is given twice"),
    "v2 values out of range": (INFER, v2(data=[256] * 48), 400, "values that are not UINT8"),
    "half a pixel": ("/predict", json.dumps({"image": [[7.5] * 6] * 8}).encode(), 422, "whole numbers"),
    "v2 half a pixel": (INFER, v2(data=[7.5] * 48), 400, "values that are not UINT8"),
    "v2 a whole number out of range": (INFER, v2(data=[256.0] * 48), 400, "values that are not UINT8"),
    "v2 huge value": (INFER, v2(data=[2**70] * 48), 400, "values that are not UINT8"),
    "v2 a long name": (INFER, v2(name="n" * 100_000), 400, "Expected 'image'"),
    "v2 classification": (
        INFER,
        v2_with(outputs=[{"name": "probabilities", "parameters": {"classification": 2}}]),
        400,
        "parameter 'classification' is not supported. Ask for the outputs 'label'",
    ),
    "v2 shared memory in": (INFER, v2(parameters={"shared_memory_region": "a"}), 400, "Shared memory is not offered"),
    "v2 shared memory out": (
        INFER,
        v2_with(outputs=[{"name": "label", "parameters": {"shared_memory_region": "a"}}]),
        400,
        "Shared memory is not offered",
    ),
    "v2 sequence": (INFER, v2_with(parameters={"sequence_id": 4}), 400, "keeps nothing"),
    "v2 priority": (INFER, v2_with(parameters={"priority": 1}), 400, "in their order"),
    "v2 near match": (INFER, v2_with(parameters={"timout": 4}), 400, "Did you mean 'timeout'?"),
    "v2 odd flag": (INFER, v2_with(parameters={"binary_data_output": "yes"}), 400, "must be true or false"),
    "v2 unknown key": (INFER, v2_with(output=[]), 400, "Did you mean 'outputs'?"),
    "v2 unknown key of a tensor": (INFER, v2(dtype="UINT8"), 400, "unknown key 'dtype'"),
    "v2 another model": (INFER, v2_with(model_name="other"), 404, "Unknown model 'other'"),
}


@pytest.mark.oddity(
    "Service",
    "JSON with lone surrogates, byte order marks, UTF-16, NaN, huge numbers, deep nesting, a key twice",
    "a 4xx that says what is wrong, the same on both ports",
)
def test_odd_bodies_are_told_alike_on_both_ports(urls: tuple[str, str]) -> None:
    with httpx.Client(timeout=20) as client:
        for name, (path, body, status, says) in CASES.items():
            answers = [client.post(url + path, content=body, headers=JSON) for url in urls]
            for answer in answers:
                assert (answer.status_code, says in answer.json()["error"]) == (status, True), (name, answer.text[:300])
                assert len(answer.content) < 1500, name
            assert answers[0].json() == answers[1].json()
        for url in urls:
            answers = [client.post(url + path, content=body, headers=JSON) for path, body in ALIKE]
            assert {answer.status_code for answer in answers} == {200}
            assert answers[0].json()["predictions"] == answers[1].json()["predictions"]
            assert answers[2].json()["outputs"] == answers[3].json()["outputs"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nowhere", 404),
        ("POST", "/v2/models/shapes/generate", 404),
        ("GET", "/v2/models/circles", 404),
        ("GET", INFER, 405),
        ("DELETE", "/v2/models/shapes", 405),
        ("POST", "/v2/health/live", 405),
        ("GET", "/predict", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/nowhere%0d%0aevil:%20%ff%ed%a0%80", 404),
        ("POST", "/livez", 405),
    ],
)
def test_every_error_is_json_on_both_ports(urls: tuple[str, str], method: str, path: str, status: int) -> None:
    answers = [httpx.request(method, url + path) for url in urls]
    for answer in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        assert answer.json()["error"]
    assert answers[0].json() == answers[1].json()


def test_sizes_and_heads_on_both_ports(urls: tuple[str, str]) -> None:
    for url in urls:
        answers = [
            httpx.post(url + path, content=document(path, size), headers=JSON)
            for path in ("/predict", INFER)
            for size in (900, 65_537, 300_000)
        ]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert len({str(predictions(answer.content)) for answer in answers}) == 1
        assert httpx.get(url + "/v2", headers={"x": "a" * 70_000}).status_code == 431
        assert httpx.get(url + "/" + "a" * 9000).status_code == 414
        assert httpx.post(url + INFER, content=bytes(33 * 2**20), headers=JSON).status_code == 413
        packed = {**JSON, "Content-Encoding": "gzip"}
        assert httpx.post(url + INFER, content=gzip.compress(document(INFER, 900)), headers=packed).status_code == 200


CURLS = [
    ["--http2"],
    ["--http2-prior-knowledge"],
    ["-H", "Expect: 100-continue"],
    ["-H", "Expect:"],
    ["--compressed"],
    ["-H", "Transfer-Encoding: chunked"],
    ["--http1.0"],
    ["-H", "Connection: close"],
]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("options", CURLS, ids=" ".join)
def test_curl(urls: tuple[str, str], tmp_path: Path, options: list[str]) -> None:
    for url in urls:
        for size in (900, 150_000, 2_000_000):
            (tmp_path / "body").write_bytes(document(INFER, size))
            command = [
                "curl",
                "-sS",
                "-m",
                "20",
                "-w",
                "%{http_code}",
                "-H",
                "Content-Type: application/json",
                *options,
            ]
            command += ["--data-binary", f"@{tmp_path / 'body'}", url + INFER]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            if options == ["--http2-prior-knowledge"]:  # there is no HTTP/2 here, and curl says so
                assert done.returncode
            else:
                assert (done.returncode, done.stdout[-3:]) == (0, "200"), done


NODE = """
const body = Buffer.alloc(Number(process.argv[2]), " ");
body.write(process.argv[3]);
fetch(process.argv[1], {method: "POST", body, headers: {"Content-Type": "application/json"}})
  .then(async (answer) => { await answer.json(); console.log(answer.status); });
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_node(urls: tuple[str, str]) -> None:
    for url in urls:
        for size in (900, 700_000):
            command = ["node", "-e", NODE, url + INFER, str(size), document(INFER, 900).decode().strip()]
            assert subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip() == "200"


JAVA = """
import java.net.URI;
import java.net.http.*;
class Ask {
  public static void main(String[] given) throws Exception {
    HttpClient client = HttpClient.newHttpClient();  // asks for h2c with its first request
    for (String url : given) {
      for (int size : new int[] {900, 700000}) {
        String body = String.format("%-" + size + "s", System.getenv("BODY"));
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(body)).build();
        System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
      }
    }
  }
}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK")
def test_java(urls: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "Ask.java").write_text(JAVA)
    environment = {**os.environ, "BODY": document(INFER, 900).decode().strip()}
    command = ["java", str(tmp_path / "Ask.java"), *(url + INFER for url in urls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout.split() == ["200"] * 4, done.stderr


def test_python_clients(urls: tuple[str, str]) -> None:
    """Those that are written otherwise than httpx: requests on urllib3, and aiohttp."""
    import asyncio

    import aiohttp
    import requests

    async def ask(url: str, body: bytes) -> int:
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=JSON) as answer:
            assert await answer.json()
            return answer.status

    for url in urls:
        with requests.Session() as session:
            for size in (900, 70_000, 1_000_000):
                body = document(INFER, size)
                assert session.post(url + INFER, data=body, headers=JSON).status_code == 200
                parts = (body[start : start + 10_000] for start in range(0, size, 10_000))
                assert session.post(url + INFER, data=parts, headers=JSON).status_code == 200
                assert asyncio.run(ask(url + INFER, body)) == 200
            # It writes all of a body before it reads the answer, which must be there all the same.
            assert session.post(url + INFER, data=bytes(34 * 2**20), headers=JSON).status_code == 413


def test_what_was_sent_is_in_no_log(urls: tuple[str, str], folder: Path) -> None:
    secret = "c0nf1dential"
    for url in urls:
        for body in (f'{{"{secret}\\ud800": 1}}', f'{{"image": "{secret}"}}', f"{secret}"):
            httpx.post(url + "/predict", content=body, headers=JSON)
            httpx.post(url + INFER, content=body, headers=JSON)
        httpx.get(f"{url}/{secret}%0d%0aline")
    log = (folder / "log").read_text()
    assert "Traceback" not in log
    assert "\nline" not in log
    assert secret not in "".join(line for line in log.splitlines() if "%0d" not in line and "GET" not in line)


def test_the_page_of_the_api_has_all_its_files(urls: tuple[str, str]) -> None:
    """Swagger UI's are BentoML's, at a place that its documentation does not name: another version may move them."""
    for url in urls:
        page = httpx.get(url + "/docs").text
        names = [part.split('"')[0] for part in page.split('"docs/')[1:]]
        assert names == ["swagger-ui.css", "swagger-ui-bundle.js", "docs.js"]
        for name in names:
            answer = httpx.get(f"{url}/docs/{name}")
            assert (answer.status_code, len(answer.content) > 100) == (200, True)
        assert httpx.get(url + "/docs/nowhere.js").status_code == 404
        assert httpx.get(url + "/docs.json").json()["openapi"].startswith("3.1")
