"""A pretrained encoder of texts, trained by nobody, in a Bento that has neither torch nor transformers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import grpc
import httpx
import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton_http
from helpers.pretrained_folders import write_folder
from tiny_bento import build, free_ports, serve, store_bundle
from tiny_grpc import PREFIX
from tiny_service import make_info
from tritonclient.grpc import service_pb2 as triton

from thresher.export import export_onnx
from thresher.modalities import read_pretrained
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.modalities.text.encoder import TextEncoder, TextEncoding
from thresher.models.pretrained.config import Pretrained
from thresher.models.pretrained.folder import read_folder
from thresher.models.start import build_start
from thresher.serving.core.bundle import Bundle, write_bundle
from thresher.serving.sockets import GRPC_PORT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.end_to_end

CLASSES, MAX_LENGTH = ("bad", "good"), 40
NO_SAMPLES = Samples(np.array([], dtype=object), np.array([], np.int64), CLASSES)
SHORT = "great fun"
TEXTS = [SHORT, "the film was good, and fun! " * 3, "a dull film. not good", "it was very poor and bad. " * 20]
INFER = "/v2/models/reviews/infer"


class Served(NamedTuple):
    client: httpx.Client
    bundle: Bundle
    grpc_address: str
    home: Path
    """BentoML's."""


@pytest.fixture(scope="module", params=["bert", pytest.param("roberta", marks=pytest.mark.slow)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Word pieces with padding 0, and byte pairs with padding 1."""
    folder = tmp_path_factory.mktemp("pretrained")
    read = read_folder(write_folder(folder / "model", request.param), True)
    encoding = TextEncoding(tokenizer="pretrained", max_length=MAX_LENGTH)
    encoder = read_pretrained(read.files, read.name, encoding, NO_SAMPLES)
    assert isinstance(encoder, TextEncoder)
    network = build_start(Pretrained(path="anywhere"), encoder.model_input, ClassOutput(num_classes=2), 1, read)
    bundle = Bundle(export_onnx(network.eval()), encoder, make_info(recipe="reviews"))
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("bentoml")
        patch.setenv("BENTOML_HOME", str(home))
        write_bundle(folder / "bundle", bundle.onnx_bytes, encoder, bundle.info)
        store_bundle(folder / "bundle")
        (port,) = free_ports(1)
        with serve(build("reviews"), encoder.REQUIREMENTS, folder, **{GRPC_PORT: str(port)}) as client:
            yield Served(client, bundle, f"127.0.0.1:{port}", home)


def answers(bundle: Bundle, texts: list[str]) -> np.ndarray:
    """Return what ONNX Runtime answers to each of ``texts`` alone."""
    session = onnxruntime.InferenceSession(bundle.onnx_bytes, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"tokens": bundle.encoder.encode_json(text)})[0] for text in texts])


def tensor(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    (output,) = response.json()["outputs"]
    return np.array(output["data"], np.float32).reshape(output["shape"])


def test_one_text_and_many_of_all_lengths(served: Served) -> None:
    expected = answers(served.bundle, TEXTS)
    one = served.client.post("/predict", json={"text": TEXTS[1]}).json()["predictions"]
    many = served.client.post("/predict", json={"texts": TEXTS * 20}).json()["predictions"]
    given = [list(each["probabilities"].values()) for each in one + many]
    np.testing.assert_allclose(given, np.concatenate([expected[1:2], *[expected] * 20]), atol=1e-5)
    plain = served.client.post("/predict", content=SHORT.encode(), headers={"Content-Type": "text/plain"})
    assert plain.json()["predictions"][0]["label"] == CLASSES[expected[0].argmax()]


def test_bytes_and_token_ids_of_the_open_inference_protocol(served: Served) -> None:
    expected, encoder = answers(served.bundle, TEXTS), served.bundle.encoder
    tokens = encoder.encode(np.array(TEXTS, dtype=object))
    assert tokens.shape == (4, MAX_LENGTH)
    for name, datatype, shape, data in (
        ("text", "BYTES", [4], TEXTS),
        ("tokens", "INT64", list(tokens.shape), tokens.ravel().tolist()),
    ):
        document = {"name": name, "datatype": datatype, "shape": shape, "data": data}
        np.testing.assert_allclose(
            tensor(served.client.post(INFER, json={"inputs": [document]})), expected, atol=1e-5, err_msg=name
        )
    with triton_http.InferenceServerClient(served.client.base_url.netloc.decode()) as client:
        given = triton_http.InferInput("tokens", list(tokens.shape), "INT64")
        given.set_data_from_numpy(tokens)
        np.testing.assert_allclose(client.infer("reviews", [given]).as_numpy("probabilities"), expected, atol=1e-5)


def test_token_ids_that_no_text_has_are_refused(served: Served) -> None:
    padding, size = served.bundle.encoder.model_input.example(1)[0, 0], 10**6
    empty = 1 - int(padding)  # the example is made of what is no padding
    for data, says in (([size, 2], "tokens must be 0 to"), ([empty, empty], "padding"), ([2] * 41, "at most [40]")):
        document = {"name": "tokens", "datatype": "INT64", "shape": [1, len(data)], "data": data}
        response = served.client.post(INFER, json={"inputs": [document]})
        assert (response.status_code, says in response.text) == (400, True), response.text


def test_grpc_takes_texts_and_token_ids_raw_and_typed(served: Served) -> None:
    expected, encoder = answers(served.bundle, TEXTS), served.bundle.encoder
    tokens = encoder.encode(np.array(TEXTS, dtype=object))

    def request(name: str, datatype: str, shape: tuple[int, ...]) -> triton.ModelInferRequest:
        message = triton.ModelInferRequest(model_name="reviews")
        message.inputs.add(name=name, datatype=datatype, shape=shape)
        return message

    raw = request("tokens", "INT64", tokens.shape)
    raw.raw_input_contents.append(tokens.tobytes())
    typed = request("tokens", "INT64", tokens.shape)
    typed.inputs[0].contents.int64_contents.extend(tokens.ravel().tolist())
    texts = request("text", "BYTES", (4,))
    texts.inputs[0].contents.bytes_contents.extend(text.encode() for text in TEXTS)
    with grpc.insecure_channel(served.grpc_address) as channel:
        infer = channel.unary_unary(
            PREFIX + "ModelInfer", triton.ModelInferRequest.SerializeToString, triton.ModelInferResponse.FromString
        )
        for message in (raw, typed, texts):
            answer = infer(message, timeout=20)
            given = np.frombuffer(answer.raw_output_contents[0], np.float32) if answer.raw_output_contents else \
                np.array(answer.outputs[0].contents.fp32_contents, np.float32)  # fmt: skip
            np.testing.assert_allclose(given.reshape(4, 2), expected, atol=1e-5)


def test_words_are_explained(served: Served) -> None:
    text = "the film was not good"
    parts = served.client.post("/explain", json={"text": text}).json()["importance"]
    assert [part["text"] for part in parts] == text.split()
    assert [text[part["start"] : part["end"]] for part in parts] == text.split()
    assert len({part["importance"] for part in parts}) > 1


def test_the_page_predicts_and_explains(served: Served, browser: Browser) -> None:
    from playwright.sync_api import expect

    page = browser.new_page()
    page.goto(str(served.client.base_url))
    page.get_by_role("textbox").fill(SHORT)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer .headline")).to_contain_text(CLASSES[answers(served.bundle, [SHORT])[0].argmax()])
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#mattered")).to_contain_text("What mattered")
    page.close()


def test_a_text_of_megabytes_is_cut_before_it_is_tokenized(served: Served) -> None:
    text = "the film was not good, and dull. " * 250_000
    expected = answers(served.bundle, [text[:2000]])
    began = time.perf_counter()
    (given,) = served.client.post("/predict", json={"text": text}, timeout=60).json()["predictions"]
    # Tokenized whole, its 8 MB would take half a minute.
    assert time.perf_counter() - began < 15
    np.testing.assert_allclose(list(given["probabilities"].values()), expected[0], atol=1e-5)


def test_the_bento_installs_neither_torch_nor_transformers(served: Served) -> None:
    (requirements,) = served.home.glob("bentos/reviews/*/env/python/requirements.txt")
    pins = {line.split("==")[0] for line in requirements.read_text().splitlines()}
    assert {"tokenizers", "onnxruntime"} <= pins and not pins & {"torch", "transformers", "safetensors", "onnx"}
