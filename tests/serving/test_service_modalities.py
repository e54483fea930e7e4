"""A Bento of every modality but images, which have a file of their own: built, served, called over HTTP."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from helpers.any_modality import as_json, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx
from jsonschema import Draft202012Validator
from tiny_bento import build, serve, store_bundle
from tiny_service import make_info

from thresher.serving.core.bundle import Bundle, write_bundle

pytestmark = pytest.mark.end_to_end

SERVED = {"text": "classification", "tabular": "regression", "series": "regression"}


@pytest.fixture(scope="module")
def bundles() -> dict[str, Bundle]:
    encoders = {modality: make_encoder(modality, task) for modality, task in SERVED.items()}
    return {
        modality: Bundle(
            make_sum_onnx(encoder.model_input, len(encoder.class_names)), encoder, make_info(recipe=modality)
        )
        for modality, encoder in encoders.items()
    }


@pytest.fixture(scope="module")
def services(bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, httpx.Client]]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
        clients = {}
        for modality, bundle in bundles.items():
            folder = tmp_path_factory.mktemp(modality)
            write_bundle(folder, bundle.onnx_bytes, bundle.encoder, bundle.info)
            store_bundle(folder)
            bento = build(modality)
            clients[modality] = stack.enter_context(serve(bento, bundle.encoder.REQUIREMENTS, folder))
        yield clients


@pytest.mark.parametrize("modality", SERVED)
def test_answers_are_those_of_onnx_runtime(
    modality: str, services: dict[str, httpx.Client], bundles: dict[str, Bundle]
) -> None:
    encoder, raw = bundles[modality].encoder, make_samples(modality, seed=5).inputs
    session = onnxruntime.InferenceSession(bundles[modality].onnx_bytes)
    expected = session.run(None, {encoder.model_input.name: encoder.encode(raw)})[0]
    documents = [as_json(raw, index) for index in range(len(raw))]
    answer = services[modality].post("/predict", json={encoder.NAMES[1]: documents}).json()
    assert (answer["model"], answer["model_version"]) == (modality, "7")
    if encoder.class_names:
        given = [list(prediction["probabilities"].values()) for prediction in answer["predictions"]]
    else:
        assert all(prediction.keys() == {"value"} for prediction in answer["predictions"])
        given = [[prediction["value"]] for prediction in answer["predictions"]]
    np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.parametrize("modality", SERVED)
def test_the_example_works_when_pasted(modality: str, services: dict[str, httpx.Client]) -> None:
    example = services[modality].get("/").json()["example"]
    if shutil.which("curl") is None:
        pytest.skip("there is no curl to paste it to")
    done = subprocess.run(example, shell=True, capture_output=True, text=True, check=True)
    assert '"predictions":[{' in done.stdout
    assert shlex.split(example)[-1].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("modality", SERVED)
def test_the_openapi_document_is_true(
    modality: str, services: dict[str, httpx.Client], bundles: dict[str, Bundle]
) -> None:
    paths = services[modality].get("/docs.json").json()["paths"]
    assert {"/", "/predict", "/explain", "/v2", "/readyz", "/metrics"} <= paths.keys()
    typed = _json_content(paths["/predict"]["post"]["requestBody"])
    one, many = (example["value"] for example in typed["examples"].values())
    tensors = _json_content(paths[f"/v2/models/{modality}/infer"]["post"]["requestBody"])
    for path, schema, example in (
        ("/predict", typed["schema"], one),
        ("/predict", typed["schema"], many),
        ("/explain", typed["schema"], one),
        (f"/v2/models/{modality}/infer", tensors["schema"], tensors["example"]),
    ):
        Draft202012Validator(schema).validate(example)
        answer = services[modality].post(path, json=example)
        assert answer.status_code == 200, answer.text
        said = _json_content(paths[path]["post"]["responses"]["200"])["schema"]
        Draft202012Validator(said).validate(answer.json())
    for path, operations in paths.items():
        if "get" in operations and not path.endswith("/metrics"):
            assert services[modality].get(path).status_code == 200
    for wrong in ({}, {"image": [["0"]]}, {**one, **many}):
        assert not Draft202012Validator(typed["schema"]).is_valid(wrong)


def _json_content(part: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = part["content"]["application/json"]
    return content


@pytest.mark.parametrize("modality", SERVED)
def test_mistakes_of_any_modality_are_4xx(modality: str, services: dict[str, httpx.Client]) -> None:
    for document in ({}, {"image": [[0]]}, {modality: {"a": [1, "x", {}]}}, [1, 2]):
        response = services[modality].post("/predict", json=document)
        assert 400 <= response.status_code < 500
        assert response.json()["error"]
    metrics = services[modality].get("/metrics").text
    assert 'thresher_predictions_total{label="' in metrics
