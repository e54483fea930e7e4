"""The Open Inference Protocol over REST, by a client that nobody here wrote, and by hand where it is too polite."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton
from helpers.any_modality import MODALITIES, TASKS, as_json, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from live_service import LiveService
from starlette.routing import Route
from test_app import file_of
from tiny_service import Caller, make_info
from tritonclient.http.aio import InferenceServerClient

from thresher.serving.core.bundle import Bundle
from thresher.serving.core.datatypes import NAMES
from thresher.serving.core.predictor import Predictor
from thresher.serving.http.operations import Infer, endpoint

QUICK = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
INFER = "/v2/models/shapes/infer"
BLANK = np.zeros((1, 1, 8, 6), np.uint8)


@pytest.fixture(scope="module", params=[(modality, task) for modality in MODALITIES for task in TASKS], ids="-".join)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, LiveService]]:
    modality, task = request.param
    encoder = make_encoder(modality, task)
    service = LiveService(Bundle(make_sum_onnx(encoder.model_input, len(encoder.class_names)), encoder, make_info()))
    yield modality, service
    service.close()


def test_a_foreign_client_gets_what_the_model_answers(served: tuple[str, LiveService]) -> None:
    modality, service = served
    bundle = service.predictor.bundle
    encoder, raw = bundle.encoder, make_samples(modality, seed=7).inputs
    samples = encoder.encode(raw)[:3]
    (expected,) = onnxruntime.InferenceSession(bundle.onnx_bytes).run(None, {encoder.model_input.name: samples})
    output = "probabilities" if encoder.class_names else "value"

    async def ask() -> None:
        async with InferenceServerClient(service.address) as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("shapes", "7")
            assert (await client.get_server_metadata())["name"] == "thresher"
            metadata = await client.get_model_metadata("shapes")
            assert metadata["inputs"][0]["name"] == encoder.model_input.name
            assert metadata["inputs"][0]["datatype"] == NAMES[encoder.model_input.dtype]
            assert metadata["outputs"][0]["name"] == output
            for as_binary in (True, False):
                if not as_binary and np.isnan(samples.astype(np.float64)).any():
                    continue  # padding is NaN, which JSON has no word for
                tensor = make_tensor(encoder.model_input.name, samples, as_binary)
                wanted = [triton.InferRequestedOutput(output, binary_data=as_binary)]
                result = await client.infer("shapes", [tensor], model_version="7", outputs=wanted, request_id="mine")
                np.testing.assert_allclose(result.as_numpy(output), expected, rtol=1e-6)  # shorter ones are padded less
                assert result.get_response()["id"] == "mine"
                assert result.get_response()["model_version"] == "7"

    asyncio.run(ask())


def make_tensor(name: str, values: np.ndarray, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput(name, list(values.shape), NAMES.get(values.dtype, "BYTES"))
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def infer(service: LiveService, name: str, values: np.ndarray) -> triton.InferResult:
    async def ask() -> triton.InferResult:
        async with InferenceServerClient(service.address) as client:
            return await client.infer("shapes", [make_tensor(name, values)])

    return asyncio.run(ask())


def test_samples_as_the_typed_rest_takes_them(served: tuple[str, LiveService]) -> None:
    modality, service = served
    encoder = service.predictor.bundle.encoder
    raw = make_samples(modality, seed=8).inputs
    one, many = encoder.NAMES
    documents = [as_json(raw, index) for index in range(2)]
    if modality == "image":
        items = [file_of(np.array(image, np.uint8)) for image in documents]
    else:
        items = [(text if modality == "text" else json.dumps(text)).encode() for text in documents]
    typed = service.client.post("/predict", json={many: documents}).json()["predictions"]
    result = infer(service, one, np.array(items, object))
    if encoder.class_names:
        probabilities = [list(prediction["probabilities"].values()) for prediction in typed]
        np.testing.assert_array_equal(result.as_numpy("probabilities"), np.array(probabilities, np.float32))
    else:
        np.testing.assert_array_equal(result.as_numpy("value")[:, 0], [p["value"] for p in typed])


@pytest.fixture(scope="module")
def shapes(bundle: Bundle) -> Iterator[LiveService]:
    service = LiveService(bundle)
    yield service
    service.close()


def test_a_foreign_client_may_compress(shapes: LiveService) -> None:
    samples = np.broadcast_to(BLANK, (2000, 1, 8, 6)).copy()

    async def ask() -> None:
        async with InferenceServerClient(shapes.address) as client:
            for way in (None, "gzip", "deflate"):
                more = {"request_compression_algorithm": way, "response_compression_algorithm": way}
                result = await client.infer("shapes", [make_tensor("image", samples)], **more)
                assert result.as_numpy("probabilities").shape == (2000, 3)

    asyncio.run(ask())


@pytest.mark.oddity("Service", "Triton's classification, shared memory, sequences, priority", "refused with what to do")
def test_what_is_not_offered_is_refused_to_a_foreign_client(shapes: LiveService) -> None:
    classes = triton.InferRequestedOutput("probabilities", class_count=2)
    shared_output = triton.InferRequestedOutput("probabilities")
    shared_output.set_shared_memory("region", 12)
    shared_input = triton.InferInput("image", [1, 1, 8, 6], "UINT8")
    shared_input.set_shared_memory("region", 48)
    whole = make_tensor("image", BLANK)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"inputs": [whole], "outputs": [classes]}, "'label' and 'class_index'"),
        ({"inputs": [whole], "outputs": [shared_output]}, "Shared memory is not offered"),
        ({"inputs": [shared_input]}, "Shared memory is not offered"),
        ({"inputs": [whole], "sequence_id": 7, "sequence_start": True}, "keeps nothing"),
        ({"inputs": [whole], "priority": 2}, "in their order"),
        ({"inputs": [whole], "parameters": {"mine": 1}}, "parameter 'mine' is not supported"),
    ]

    async def ask() -> None:
        async with InferenceServerClient(shapes.address) as client:
            for asked, says in cases:
                with pytest.raises(triton.InferenceServerException, match=says):
                    await client.infer("shapes", **asked)

    asyncio.run(ask())


def test_labels_for_those_who_ask(call: Caller) -> None:
    body = {"inputs": [tensor()], "outputs": [{"name": "label"}, {"name": "class_index"}, {"name": "probabilities"}]}
    label, index, probabilities = call("POST", INFER, json=body).json()["outputs"]
    assert label["datatype"] == "BYTES"
    assert index["data"] == [int(np.argmax(probabilities["data"]))]
    assert label["data"] == [("circle", "square", "triangle")[index["data"][0]]]


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "UINT8", "shape": [1, 1, 8, 6], "data": BLANK.reshape(-1).tolist(), **changes}


def without(name: str) -> dict[str, Any]:
    document = tensor()
    del document[name]
    return document


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "must be a JSON object"),
        ({}, "'inputs': not a list"),
        ({"inputs": []}, "'inputs': 0 given"),
        ({"inputs": [tensor(), tensor()]}, "'inputs': 2 given"),
        ({"inputs": [7]}, "inputs[0] must be a JSON object"),
        ({"inputs": [without("name")]}, "needs a 'name'"),
        ({"inputs": [without("data")]}, "neither 'data' nor"),
        ({"inputs": [tensor(name="picture")]}, "Expected 'image' of UINT8 [-1, 1, 8, 6]"),
        ({"inputs": [tensor(datatype="FP32")]}, "'image' of FP32 given"),
        ({"inputs": [tensor(datatype="FLOAT")]}, "known 'datatype'"),
        ({"inputs": [tensor(shape=[1, 48])]}, "shape [1, 48] given. Expected [-1, 1, 8, 6]"),
        ({"inputs": [tensor(shape=[0, 1, 8, 6], data=[])]}, "shape [0, 1, 8, 6] given"),
        ({"inputs": [tensor(shape=[-1, 1, 8, 6])]}, "whole numbers"),
        ({"inputs": [tensor(shape=[1.0, 1, 8, 6])]}, "whole numbers"),
        ({"inputs": [tensor(shape=[2, 1, 8, 6])]}, "48 values given"),
        ({"inputs": [tensor(data=[0] * 47)]}, "47 values given"),
        ({"inputs": [tensor(data=[256] * 48)]}, "values that are not UINT8"),
        ({"inputs": [tensor(data=[0.5] * 48)]}, "values that are not UINT8"),
        ({"inputs": [tensor(data=["0"] * 48)]}, "values that are not UINT8"),
        ({"inputs": [tensor(data=[True] * 48)]}, "values that are not UINT8"),
        ({"inputs": [tensor(data=[True] + [0] * 47)]}, "values that are not UINT8"),
        ({"inputs": [tensor(data=[[[[0] * 6] * 7 + [[0] * 5 + [True]]]])]}, "values that are not UINT8"),
        ({"inputs": [tensor(data=[[[[0] * 8] * 6]])]}, "nested as [1, 1, 6, 8]; its shape is [1, 1, 8, 6]"),
        ({"inputs": [tensor(data=[[0], [0, 1]])]}, "ragged"),
        ({"inputs": [tensor(data=7)]}, "must be a list"),
        ({"inputs": [tensor(parameters={"binary_data_size": 48})]}, "both 'data' and"),
        ({"inputs": [tensor()], "outputs": [{"name": "labels"}]}, "Unknown output 'labels'. Did you mean 'label'?"),
        ({"inputs": [tensor()], "outputs": 3}, "'outputs' must be a list"),
        ({"inputs": [tensor()], "id": 3}, "'id' must be a text"),
        ({"inputs": [tensor()], "parameters": {"timeout": "9" * 4000}}, "positive whole number of microseconds"),
        ({"inputs": [tensor()], "parameters": {"timeout": -1}}, "positive whole number of microseconds"),
        ({"inputs": [tensor(datatype="BYTES", shape=[1], data=["no picture"])]}, "image"),
    ],
)
def test_wrong_requests_are_explained(call: Caller, document: Any, says: str) -> None:
    response = call("POST", INFER, json=document)
    assert response.status_code == 400, response.text
    assert says in response.json()["error"]


@pytest.mark.parametrize(
    ("size", "sent", "says"),
    [
        (48, 47, "47 bytes follow"),
        (47, 47, "47 bytes given"),
        (49, 49, "49 bytes given"),
        (0, 0, "0 bytes given"),
        ("48", 48, "must be a whole number, not '48'"),
    ],
)
def test_wrong_byte_lengths_are_explained(call: Caller, size: Any, sent: int, says: str) -> None:
    document = without("data") | {"parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [document]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    response = call("POST", INFER, content=head + bytes(sent), headers=headers)
    assert response.status_code == 400
    assert says in response.json()["error"]


def test_a_broken_list_of_byte_strings_is_explained(call: Caller) -> None:
    for raw in (b"\1", struct.pack("<I", 9) + b"short", b""):
        document = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(raw)}}
        head = json.dumps({"inputs": [document]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        assert call("POST", INFER, content=head + raw, headers=headers).status_code == 400


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/other/ready", "/v2/models/shapes/versions/8"])
def test_unknown_models_and_versions_are_not_found(call: Caller, path: str) -> None:
    response = call("GET", path)
    assert response.status_code == 404
    assert "Unknown" in response.json()["error"]


@pytest.mark.parametrize(
    "served", [("tabular", "regression"), ("series", "classification")], indirect=True, ids="-".join
)
def test_numbers_that_are_none_are_refused(served: tuple[str, LiveService]) -> None:
    _, service = served
    model_input = service.predictor.bundle.encoder.model_input
    for wrong in (np.nan, np.inf):
        samples = model_input.example(1)
        samples.reshape(-1)[0] = wrong
        with pytest.raises(triton.InferenceServerException, match=r"(?i)nan|infinity|number"):
            infer(service, model_input.name, samples)


@pytest.mark.parametrize("served", [("text", "classification"), ("tabular", "regression")], indirect=True, ids="-".join)
def test_codes_and_tokens_that_the_model_does_not_know_are_refused(served: tuple[str, LiveService]) -> None:
    _, service = served
    model_input = service.predictor.bundle.encoder.model_input
    for wrong in (-1, 10**6):
        samples = model_input.example(1)
        samples.reshape(-1)[-1] = wrong
        with pytest.raises(triton.InferenceServerException, match=r"must be 0|whole number of 0"):
            infer(service, model_input.name, samples)


leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(leaves | st.text(max_size=4), lambda inner: st.lists(inner, max_size=4), max_leaves=12)


@QUICK
@given(
    name=st.sampled_from(["image", "picture"]) | anything,
    datatype=st.sampled_from(["UINT8", "BYTES", "FP32", "INT64", "BOOL"]) | anything,
    shape=st.sampled_from([[1, 1, 8, 6], [1], [1, 1], [2**40], [2**31 - 1] * 8]) | anything,
    data=anything,
    parameters=anything | st.fixed_dictionaries({"binary_data_size": anything}),
    outputs=anything,
)
def test_no_document_is_a_failure(
    call: Caller, name: Any, datatype: Any, shape: Any, data: Any, parameters: Any, outputs: Any
) -> None:
    document = {"name": name, "datatype": datatype, "shape": shape, "data": data, "parameters": parameters}
    response = call("POST", INFER, json={"inputs": [document], "outputs": outputs})
    assert response.status_code in (200, 400, 413), response.text


@QUICK
@given(body=st.binary(max_size=60), length=st.text(max_size=3) | st.integers(-1, 70).map(str))
@example(body=b"{}", length="0" * 5000 + "2")
def test_no_bytes_are_a_failure(call: Caller, body: bytes, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length.encode()}
    assert call("POST", INFER, content=body, headers=headers).status_code == 400


def test_a_picture_of_another_size_is_fitted(call: Caller) -> None:
    """As the typed REST does it, or else says no; both in the same words."""
    file = file_of(np.zeros((20, 20), np.uint8))
    typed = call.post(file, "image/png")
    raw = struct.pack("<I", len(file)) + file
    document = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [document]}).encode()
    v2 = call("POST", INFER, content=head + raw, headers={"Inference-Header-Content-Length": str(len(head))})
    assert (v2.status_code == 200) == (typed.status_code == 200)


def test_an_operation_is_made_once_and_keeps_what_it_has_read(bundle: Bundle) -> None:
    made = []

    class Counted(Infer):
        def __init__(self, predictor: Predictor) -> None:
            super().__init__(predictor)
            made.append(predictor)

    caller = Caller(bundle)
    caller.app.router.routes.append(Route("/counted/{name}/infer", endpoint(Counted), methods=["POST"]))
    name = bundle.encoder.model_input.name
    tensor = {"name": name, "shape": list(BLANK.shape), "datatype": "UINT8", "data": BLANK.ravel().tolist()}
    answers = [caller("POST", "/counted/shapes/infer", json={"inputs": [tensor]}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert made == [caller.predictor]
