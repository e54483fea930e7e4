"""Every modality and task is served alike, under its own names and with errors in its own words."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator

import httpx
import numpy as np
import onnxruntime
import pytest
from helpers.any_modality import CLASS_NAMES, MODALITIES, TASKS, as_json, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from tiny_service import Caller, make_info

from thresher.modalities.encoder import Encoder
from thresher.serving.core import decoding
from thresher.serving.core.bundle import Bundle, BundleError
from thresher.serving.core.session import open_session
from thresher.serving.http.content_types import content_types

QUICK = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
LEAVES = st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=8)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["age", "job", "x"]), inner)
)
NUMBERS = st.sampled_from([0, 1, -1.5, 1e38, -1e39, 1e308, 2**70, 10**400, None, True, "7", "", [], {}])


def make_bundle(modality: str, task: str) -> Bundle:
    encoder = make_encoder(modality, task)
    return Bundle(make_sum_onnx(encoder.model_input, len(encoder.class_names)), encoder, make_info())


@pytest.fixture(scope="module", params=[(modality, task) for modality in MODALITIES for task in TASKS], ids="-".join)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Caller]]:
    caller = Caller(make_bundle(*request.param))
    yield request.param[0], caller
    caller.runner.close()


@pytest.fixture(scope="module", params=MODALITIES)
def by_modality(request: pytest.FixtureRequest) -> Iterator[tuple[str, Caller]]:
    caller = Caller(make_bundle(request.param, "classification"))
    yield request.param, caller
    caller.runner.close()


def encoder_of(caller: Caller) -> Encoder:
    return caller.predictor.bundle.encoder


def expected_of(caller: Caller, modality: str, seed: int = 7) -> tuple[list[object], np.ndarray]:
    """Return raw samples as JSON, and what ONNX Runtime answers to each alone."""
    encoder, raw = encoder_of(caller), make_samples(modality, seed=seed).inputs
    encoded, session = encoder.encode(raw), onnxruntime.InferenceSession(caller.predictor.bundle.onnx_bytes)
    rows = [encoder.model_input.trim(encoded[index : index + 1]) for index in range(20)]
    answers = [session.run(None, {encoder.model_input.name: row})[0] for row in rows]
    return [as_json(raw, index) for index in range(20)], np.concatenate(answers)


def check(response: httpx.Response, expected: np.ndarray) -> None:
    assert response.status_code == 200, response.text
    predictions = response.json()["predictions"]
    assert len(predictions) == len(expected)
    for prediction, row in zip(predictions, expected, strict=True):
        if len(row) == 1:
            assert prediction == {"value": pytest.approx(row[0], abs=1e-5)}
        else:
            assert prediction["label"] == CLASS_NAMES[row.argmax()]
            np.testing.assert_allclose(list(prediction["probabilities"].values()), row, atol=1e-5)


def test_one_and_many(served: tuple[str, Caller]) -> None:
    modality, call = served
    one, many = encoder_of(call).NAMES
    documents, expected = expected_of(call, modality)
    check(call("POST", "/predict", json={one: documents[3]}), expected[3:4])
    check(call("POST", "/predict", json={many: documents}), expected)
    check(call("POST", "/predict", json={many: documents[:1]}), expected[:1])


def test_requests_of_different_lengths_share_batches(served: tuple[str, Caller]) -> None:
    modality, call = served
    one, _ = encoder_of(call).NAMES
    documents, expected = expected_of(call, modality)

    async def work() -> list[httpx.Response]:
        picked = [documents[n % 20] for n in range(100)]
        return await asyncio.gather(*(call.client.post("/predict", json={one: document}) for document in picked))

    for n, response in enumerate(call.runner.run(work())):
        check(response, expected[n % 20 : n % 20 + 1])


def test_the_page_shows_a_call_that_works_when_pasted(served: tuple[str, Caller]) -> None:
    modality, call = served
    about = call("GET", "/").json()
    one, many = encoder_of(call).NAMES
    assert about["predict"]["json"] == f'Either {{"{one}": ...}} or {{"{many}": [..., ...]}}.'
    assert about["predict"][one] == encoder_of(call).expected
    if modality != "image":
        command = shlex.split(about["example"])
        assert command[:2] == ["curl", "-s"]
        header, body = command[command.index("-H") + 1], command[command.index("-d") + 1]
        assert call.post(body, header.removeprefix("Content-Type: ")).status_code == 200
    assert call("POST", "/predict", json={one: encoder_of(call).example()}).status_code == 200


def test_predictions_are_counted(served: tuple[str, Caller]) -> None:
    _, call = served
    _, many = encoder_of(call).NAMES

    def count() -> float:
        call.predictor.metrics.flush()
        return float(sum(sample.value for metric in call.registry.collect() for sample in metric.samples
                         if sample.name == "thresher_predictions_total"))  # fmt: skip

    before = count()
    assert call("POST", "/predict", json={many: [encoder_of(call).example()] * 5}).status_code == 200
    assert count() == before + 5
    label = "low" if encoder_of(call).class_names else "value"
    assert f'label="{label}"' in generate_latest(call.registry).decode()


def test_mistakes_are_told_in_the_modalitys_own_words(by_modality: tuple[str, Caller]) -> None:
    modality, call = by_modality
    one, many = encoder_of(call).NAMES
    example = encoder_of(call).example()
    for document, status, says in (
        ({}, 400, f"No key given. Send one of: {one}, {many}."),
        ({"nonsense": 1}, 400, f"Allowed: {', '.join(sorted((one, many)))}."),
        ([], 400, f'{{"{one}": ...}}'),
        ({one: None}, 422, "Expected"),
        ({many: []}, 422, f"'{many}' must be a list of one or more."),
        ({many: example if modality == "tabular" else 5}, 422, f"'{many}' must be a list"),
        ({many: [example, example, None]}, 422, f"{many}[2]: "),
    ):
        response = call("POST", "/predict", json=document)
        assert (response.status_code, says in response.json()["error"]) == (status, True), response.text
        assert modality == "image" or "image" not in response.text
        assert modality == "image" or "ixel" not in response.text


def test_content_types_are_those_that_the_encoder_reads(by_modality: tuple[str, Caller]) -> None:
    _, call = by_modality
    files = encoder_of(call).file_types
    for kind in ("image/png", "text/plain", "multipart/form-data; boundary=x", "text/csv"):
        response = call.post(b"\xff", kind)
        known = kind in files or (kind.startswith("multipart") and files)
        assert (response.status_code != 415) is bool(known)
        if not known:
            assert "Allowed: application/json" in response.json()["error"]
            assert call("GET", "/").json()["predict"]["content_types"] == list(
                content_types(encoder_of(call))
            )  # fmt: skip


def test_more_than_memory_should_hold_is_refused_before_it_is_padded(
    by_modality: tuple[str, Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, call = by_modality
    many, encoder = encoder_of(call).NAMES[1], encoder_of(call)
    monkeypatch.setattr(decoding, "MAX_SAMPLES_BYTES", 4 * encoder.model_input.sample_bytes)
    assert call("POST", "/predict", json={many: [encoder.example()] * 4}).status_code == 200
    response = call("POST", "/predict", json={many: [encoder.example()] * 5})
    assert (response.status_code, response.json()["error"]) == (413, f"5 {many} given. Send at most 4 at a time.")


@QUICK
@given(document=DOCUMENTS, several=st.booleans())
def test_any_document(by_modality: tuple[str, Caller], document: object, several: bool) -> None:
    _, call = by_modality
    status = call.post(json.dumps({encoder_of(call).NAMES[several]: document})).status_code
    assert status == 200 or 400 <= status < 500


@QUICK
@given(data=st.data())
def test_any_numbers_in_the_right_places(by_modality: tuple[str, Caller], data: st.DataObject) -> None:
    modality, call = by_modality
    documents = {
        "image": st.lists(st.lists(NUMBERS, min_size=6, max_size=6), min_size=8, max_size=8),
        "text": st.text(max_size=300),
        "tabular": st.fixed_dictionaries({"age": NUMBERS, "job": NUMBERS, "hours": NUMBERS}),
        "series": st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=40),
    }
    body = json.dumps({encoder_of(call).NAMES[0]: data.draw(documents[modality])})
    assert call.post(body).status_code in (200, 400, 422)


@QUICK
@given(body=st.binary(max_size=200), kind=st.sampled_from(["application/json", "text/plain; charset=utf-8"]))
def test_any_bytes_of_any_modality(by_modality: tuple[str, Caller], body: bytes, kind: str) -> None:
    _, call = by_modality
    status = call.post(body, kind).status_code
    assert status == 200 or 400 <= status < 500


@pytest.mark.parametrize(("charset", "status"), [("utf-8", 200), ('"UTF-8"', 200), ("iso-8859-1", 415)])
def test_a_text_is_utf_8(charset: str, status: int) -> None:
    caller = Caller(make_bundle("text", "classification"))
    if "text/plain" not in encoder_of(caller).file_types:
        pytest.skip("texts are sent in JSON alone")
    response = caller.post(b"who wrote the first book", f"text/plain; charset={charset}")
    assert response.status_code == status, response.text
    caller.runner.close()


def test_answers_that_are_no_numbers_are_the_senders_to_mend() -> None:
    encoder = make_encoder("image", "regression")
    caller = Caller(Bundle(make_sum_onnx(encoder.model_input, scale=3e38), encoder, make_info()))
    response = caller("POST", "/predict", json={"images": [[[0] * 6] * 8, [[9] * 6] * 8]})
    assert (response.status_code, "no finite answer to image 1" in response.text) == (422, True), response.text
    caller.runner.close()


TENSORS = {
    "image": [("UINT8", (1, 1, 8, 6), [True] + [0] * 47, "values that are not UINT8")],
    "text": [
        ("INT64", (1, 2), [0, 0], "after a token or more"),
        ("INT64", (1, 1), [2**63], "values that are not INT64"),
    ],
    "tabular": [("FP32", (1, 4), [1e300, 0, 0, 0], "values that are not FP32")],
    "series": [("FP32", (1, 1, 2), [1e39, 0], "values that are not FP32")],
}


@pytest.mark.filterwarnings("error")
def test_tensors_of_no_sample_are_refused(by_modality: tuple[str, Caller]) -> None:
    modality, caller = by_modality
    name = encoder_of(caller).model_input.name
    for datatype, shape, data, says in TENSORS[modality]:
        document = {"name": name, "datatype": datatype, "shape": shape, "data": data}
        response = caller("POST", "/v2/models/shapes/infer", json={"inputs": [document]})
        assert (response.status_code, says in response.text) == (400, True), response.text


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_model_of_the_other_task_is_refused(modality: str) -> None:
    bundle = make_bundle(modality, "regression")
    classes = make_sum_onnx(bundle.encoder.model_input, 3)
    with pytest.raises(BundleError, match="value"):
        open_session(Bundle(classes, bundle.encoder, bundle.info))
