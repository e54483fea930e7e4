"""Every request in the documentation, run as it stands, has the answer that its picture deserves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from helpers.digits_bundle import build_digits_bento, digits_encoder
from helpers.doc_blocks import blocks
from tiny_bento import free_ports, serve

from thresher.modalities.image.encoder import ImageEncoder
from thresher.pipelines.package.example import choose_example
from thresher.serving.sockets import GRPC_PORT, HTTP_PORT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.end_to_end

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@pytest.fixture(scope="module")
def ports(digits: Any, float_onnx: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Ports that the documentation names -> those of a Bento of the digits, with an example as a run chooses it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        folder = tmp_path_factory.mktemp("bundle")
        example = choose_example(digits_encoder(), float_onnx, digits.test, 1)
        assert example is not None
        bento = build_digits_bento(folder, float_onnx, {"example.json": example.model_dump_json().encode()})
        grpc, fast = free_ports(2)
        more = {GRPC_PORT: str(grpc), HTTP_PORT: str(fast)}
        with serve(bento, ImageEncoder.REQUIREMENTS, tmp_path_factory.mktemp("serve"), **more) as client:
            yield {"3000": str(client.base_url.port), "3001": str(grpc), "3002": str(fast)}


def run(program: list[str], text: str, ports: dict[str, str], folder: Path) -> str:
    """Return what ``text`` prints, its ports replaced, run by ``program``."""
    text = re.sub(r"localhost:(300\d)", lambda found: f"localhost:{ports[found[1]]}", text)
    done = subprocess.run([*program, text], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(printed: str) -> list[Any]:
    """Return the JSON documents that follow one another in ``printed``."""
    found, decoder = [], json.JSONDecoder()
    while printed := printed.strip():
        document, end = decoder.raw_decode(printed)
        found.append(document)
        printed = printed[end:]
    return found


@needs_curl
def test_quickstart(ports: dict[str, str], tmp_path: Path) -> None:
    (block,) = blocks("quickstart.md", "bash")
    answers = documents(run(["bash", "-euc"], block, ports, tmp_path))
    assert [answer["predictions"][0]["label"] for answer in answers] == ["3", "3"]
    assert answers[0]["predictions"] == answers[1]["predictions"]


@needs_curl
def test_protocols_over_http(ports: dict[str, str], tmp_path: Path) -> None:
    typed, v2 = (block for block in blocks("protocols.md", "bash") if "curl -s" in block)
    (answer,) = documents(run(["bash", "-euc"], typed, ports, tmp_path))
    assert answer["predictions"][0]["label"] == "0"
    ready, metadata, answer = documents(run(["bash", "-euc"], v2, ports, tmp_path))
    assert (ready, metadata["name"]) == (200, "digits")
    label, probabilities = answer["outputs"]
    assert (answer["id"], label["data"]) == ("first", ["0"])
    assert probabilities["data"][0] == max(probabilities["data"])


def test_protocols_in_python(ports: dict[str, str], tmp_path: Path) -> None:
    rest, grpc = blocks("protocols.md", "python")
    assert run([sys.executable, "-c"], rest, ports, tmp_path).split() == ["[0]"]
    assert run([sys.executable, "-c"], grpc, ports, tmp_path).startswith("[b'0']")


def test_the_same_call_by_any_client_of_grpc(ports: dict[str, str]) -> None:
    """grpcurl is no package here; its request is sent as it reads it: JSON of the protocol's messages."""
    import grpc
    from google.protobuf import json_format
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    (block,) = (block for block in blocks("protocols.md", "bash") if "grpcurl" in block)
    told = re.search(r"-d '(\{\"model_name\".*?\})' ", block, re.DOTALL)
    assert told
    request = json_format.Parse(told[1], service_pb2.ModelInferRequest())
    with grpc.insecure_channel(f"localhost:{ports['3001']}") as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    chances = list(answer.outputs[0].contents.fp32_contents)
    assert chances.index(max(chances)) == 0


@needs_curl
def test_explain(ports: dict[str, str], tmp_path: Path) -> None:
    (block,) = blocks("service_page.md", "bash")
    (answer,) = documents(run(["bash", "-euc"], block, ports, tmp_path))
    assert (answer["label"], answer["target"]) == ("0", "0")


@needs_curl
@pytest.mark.parametrize("port", ["3000", "3002"])
def test_what_the_service_itself_shows(ports: dict[str, str], port: str, digits: Any, tmp_path: Path) -> None:
    """`GET /` has a real digit of the test data, and the answer is what the data says it is."""
    url = f"http://localhost:{ports[port]}"
    shown = httpx.get(url).json()
    (answer,) = documents(run(["bash", "-euc"], shown["example"], {}, tmp_path))
    assert answer["predictions"][0]["label"] == shown["example_answer"]
    paths = httpx.get(url + "/docs.json").json()["paths"]
    examples = paths["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    image = examples["image"]["value"]["image"]
    (place,) = [index for index, one in enumerate(digits.test.inputs) if one[0].tolist() == image]
    assert digits.test.class_names[digits.test.labels[place]] == shown["example_answer"]
    for example in examples.values():
        labels = [one["label"] for one in httpx.post(url + "/predict", json=example["value"]).json()["predictions"]]
        assert set(labels) == {shown["example_answer"]}
    infer = paths["/v2/models/digits/infer"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = httpx.post(url + "/v2/models/digits/infer", json=infer).json()
    assert answer["outputs"][0]["data"] == [shown["example_answer"]]


@pytest.mark.slow
@pytest.mark.parametrize("port", ["3000", "3002"])
def test_the_page_of_the_api_sends_the_example(ports: dict[str, str], port: str, browser: Browser) -> None:
    """Swagger UI in a real browser, which asks for nothing elsewhere and complains of nothing."""
    home = f"http://localhost:{ports[port]}"
    page = browser.new_context().new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto(home + "/docs")
    predict = page.locator(".opblock-post", has_text="/predict").first
    predict.locator(".opblock-summary-control").click()
    predict.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/predict") as answered:
        predict.get_by_role("button", name="Execute").click()
    shown = httpx.get(home).json()
    assert answered.value.json()["predictions"][0]["label"] == shown["example_answer"]
    assert [url for url in asked if not url.startswith((home, "data:", "blob:"))] == []
    assert wrong == []
    page.context.close()
