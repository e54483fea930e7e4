"""What /explain says is what the answers to the occluded copies come to, and its cost has bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest
from helpers.any_modality import MODALITIES, make_encoder, make_samples
from helpers.tiny_onnx import make_sum_onnx
from tiny_service import CLASS_NAMES, Caller, make_info

from thresher.modalities.encoder import Encoder
from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.occlusion import CELLS_A_PATCH, MAX_COPIES
from thresher.modalities.series.encoder import SeriesEncoder
from thresher.modalities.service import service_of
from thresher.modalities.tabular.columns import CategoricalColumn, NumericColumn
from thresher.modalities.tabular.encoder import TabularEncoder
from thresher.modalities.text.encoder import TextEncoder
from thresher.serving.core.bundle import Bundle

SCALE = 1e-3
MakeCaller = Callable[[Encoder], Caller]


@pytest.fixture(scope="module")
def adding() -> Iterator[MakeCaller]:
    """A service whose model answers the sum of its input's numbers, so that what each part adds is known."""
    callers = []

    def make(encoder: Encoder) -> Caller:
        onnx_bytes = make_sum_onnx(encoder.model_input, len(encoder.class_names), SCALE)
        callers.append(Caller(Bundle(onnx_bytes, encoder, make_info(max_batch_size=8))))
        return callers[-1]

    yield make
    for caller in callers:
        caller.runner.close()


def explain(caller: Caller, **request: Any) -> dict[str, Any]:
    response = caller("POST", "/explain", **request)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def smoothed(drops: np.ndarray, num_cells: int) -> np.ndarray:
    """Return the mean over the patches that cover each cell."""
    return np.array([drops[cell : cell + CELLS_A_PATCH].mean(axis=0) for cell in range(num_cells)])


def test_patches_of_an_image(adding: MakeCaller) -> None:
    encoder = ImageEncoder(channels=3, height=30, width=5, mean=(10.0, 20.0, 30.0), std=(1.0,) * 3, class_names=())
    image = np.random.default_rng(0).integers(0, 256, (30, 5, 3), np.uint8)
    answer = explain(adding(encoder), json={"image": image.tolist()})
    assert (answer["cell"], answer["patch"], answer["replaced_by"]) == ([3, 1], [9, 3], [10, 20, 30])
    assert answer["value"] == pytest.approx(SCALE * image.sum(), rel=1e-5)
    assert answer["num_copies"] == 12 * 7
    more = (image.astype(float) - encoder.mean).sum(axis=2)
    drops = np.array([[SCALE * more[max(0, 3 * row - 6) : 3 * row + 3, max(0, column - 2) : column + 1].sum()
                       for column in range(7)] for row in range(12)])  # fmt: skip
    expected = smoothed(smoothed(drops, 10).T, 5).T
    np.testing.assert_allclose(answer["importance"], expected, atol=2e-3)


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_words_of_a_text(adding: MakeCaller, tokenizer: str) -> None:
    more = {"vocabulary_size": 300} if tokenizer == "bpe" else {}
    encoder = make_encoder("text", "regression", tokenizer=tokenizer, **more)
    assert isinstance(encoder, TextEncoder)
    text = "  How many  feet, in a Ünit mile"
    answer = explain(adding(encoder), content=text.encode(), headers={"Content-Type": "text/plain"})
    words = answer["importance"]
    assert [word["text"] for word in words] == ["How", "many", "feet", ",", "in", "a", "Ünit", "mile"]
    assert [text[word["start"] : word["end"]] for word in words] == [word["text"] for word in words]
    # Without its word a text is encoded as if the word had never been there, but for the blanks about it.
    for without in ("many  feet, in a Ünit mile", "How feet, in a Ünit mile"):
        drop = SCALE * float(encoder.encode_json(text).sum() - encoder.encode_json(without).sum())
        dropped = words[0] if without.startswith("many") else words[1]
        if tokenizer == "word":
            assert dropped["importance"] == pytest.approx(drop, abs=1e-6)
    sums = [encoder.encode_json(text)[0, tokens].sum() for _, tokens in encoder.words(text)]
    np.testing.assert_allclose([word["importance"] for word in words], SCALE * np.array(sums), atol=1e-6)


def test_the_only_word_becomes_the_unknown_one(adding: MakeCaller) -> None:
    encoder = make_encoder("text", "regression")
    (word,) = explain(adding(encoder), json={"texts": ["mile"]})["importance"]
    assert word["importance"] == pytest.approx(SCALE * (int(encoder.encode_json("mile")[0, 0]) - 1), abs=1e-6)


def test_columns_of_a_row(adding: MakeCaller) -> None:
    encoder = make_encoder("tabular", "regression")
    assert isinstance(encoder, TabularEncoder)
    age, job, hours = encoder.columns
    assert isinstance(age, NumericColumn)
    assert isinstance(job, CategoricalColumn)
    assert isinstance(hours, NumericColumn)
    call = adding(encoder)
    row = {"age": 20, "job": "clerk", "hours": 55.0}
    said = explain(call, json={"row": row})["importance"]
    assert [(one["columns"], one["replaced_by"]) for one in said] == [
        (["age"], [None]), (["job"], [None]), (["hours"], [hours.median])
    ]  # fmt: skip
    for name, other in (("age", None), ("job", None), ("hours", hours.median)):
        drop = SCALE * (encoder.encode_json(row).sum() - encoder.encode_json({**row, name: other}).sum())
        assert said[["age", "job", "hours"].index(name)]["importance"] == pytest.approx(drop, abs=1e-6)
    # What is missing already is taken for the typical value.
    missing = {"age": None, "job": None, "hours": 40}
    said = explain(call, json={"row": missing})["importance"]
    assert said[0]["replaced_by"] == [age.median]
    assert said[1]["replaced_by"] == [next(value for value in job.categories if value is not None)]


def test_windows_and_channels_of_a_series(adding: MakeCaller) -> None:
    encoder = make_encoder("series", "regression")
    assert isinstance(encoder, SeriesEncoder)
    series = np.random.default_rng(1).normal(size=(9, 2)).astype(np.float32)
    answer = explain(adding(encoder), json={"series": series.tolist()})
    assert (answer["steps_a_cell"], answer["steps_a_patch"], len(answer["importance"])) == (1, 3, 9)
    more = SCALE * (series - np.array(encoder.mean))
    drops = np.array([more[max(0, end - 3) : end].sum() for end in range(1, 12)])
    np.testing.assert_allclose(answer["importance"], smoothed(drops, 9), atol=1e-6)
    assert [one["channels"] for one in answer["channel_importance"]] == [[0], [1]]
    whole = [one["importance"] for one in answer["channel_importance"]]
    np.testing.assert_allclose(whole, more.sum(axis=0), atol=1e-6)


def test_the_predicted_class_or_the_one_asked_for(call: Caller, bundle: Bundle) -> None:
    image = np.random.default_rng(5).integers(0, 256, (8, 6), np.uint8)
    session = onnxruntime.InferenceSession(bundle.onnx_bytes)
    probabilities = session.run(None, {"image": image[None, None]})[0][0]
    best = CLASS_NAMES[probabilities.argmax()]
    own = explain(call, json={"image": image.tolist()})
    assert (own["label"], own["target"], own["model"], own["model_version"]) == (best, best, "shapes", "7")
    assert own["probability"] == pytest.approx(probabilities.max(), abs=1e-6)
    total = np.zeros((8, 6))
    for name, probability in zip(CLASS_NAMES, probabilities, strict=True):
        asked = explain(call, json={"image": image.tolist()}, params={"target": name})
        assert (asked["label"], asked["target"]) == (best, name)
        assert asked["probability"] == pytest.approx(probability, abs=1e-6)
        total += asked["importance"]
    np.testing.assert_allclose(total, 0, atol=1e-6)  # what one class loses, the others gain


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_part_is_told_once_within_the_bound(modality: str) -> None:
    encoder: Encoder = {
        "image": ImageEncoder(channels=1, height=500, width=14, mean=(0.0,), std=(1.0,), class_names=()),
        "text": make_encoder("text", max_length=2000),
        "tabular": TabularEncoder(columns=tuple(NumericColumn(name=f"c{place}", mean=0, std=1, median=0,
            has_missing=False) for place in range(600)), unseen_categories="refuse", class_names=()),
        "series": SeriesEncoder(channels=300, max_length=9999, typical_length=1, missing="refuse", mean=(0.0,) * 300,
            std=(1.0,) * 300, class_names=()),
    }[modality]  # fmt: skip
    raw = {"text": "how many " * 700, "tabular": {f"c{place}": 1 for place in range(600)},
           "series": [[1.0] * 300] * 999}.get(modality, np.ones((500, 14), int).tolist())  # fmt: skip
    sample = encoder.encode_json(raw)
    occlusion = service_of(encoder).occlude(sample, raw)
    assert 100 < occlusion.num_copies <= MAX_COPIES
    changed = [occlusion.copy(index).size != sample.size or bool((occlusion.copy(index) != sample).any())
               for index in range(occlusion.num_copies)]  # fmt: skip
    assert all(changed)
    told = occlusion.tell(np.ones(occlusion.num_copies))
    if modality in ("image", "series"):
        assert np.array_equal(told["importance"], np.ones_like(told["importance"]))
    if modality == "text":
        assert sum(len(part["text"].split()) for part in told["importance"]) == 1400
    if modality == "tabular":
        assert [name for part in told["importance"] for name in part["columns"]] == list(raw)


def test_the_sample_itself_stays_as_it_was() -> None:
    for modality in MODALITIES:
        encoder, samples = make_encoder(modality), make_samples(modality)
        raw = samples.inputs[0] if modality == "text" else None
        sample = encoder.encode(samples.take(np.array([0])).inputs)
        before = sample.copy()
        occlusion = service_of(encoder).occlude(sample, raw)
        for index in range(occlusion.num_copies):
            occlusion.copy(index)
        np.testing.assert_array_equal(sample, before)


@pytest.mark.parametrize(
    ("content", "query", "status", "text"),
    [
        (b"{", "", 400, "Malformed JSON"),
        (b'{"image": [[1]]}', "", 422, "8x6 whole numbers"),
        (json.dumps({"images": [[[0] * 6] * 8] * 2}).encode(), "", 400, "2 images given. Send one to explain."),
        (json.dumps({"image": [[0] * 6] * 8}).encode(), "?target=squares", 422, "Did you mean 'square'?"),
        (json.dumps({"image": [[0] * 6] * 8}).encode(), "?traget=square", 400, "Did you mean 'target'?"),
    ],
)
def test_mistakes_are_4xx_of_explain(call: Caller, content: bytes, query: str, status: int, text: str) -> None:
    response = call("POST", f"/explain{query}", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text
    assert text in response.json()["error"]
    assert call("GET", "/explain").status_code == 405


def test_a_regression_has_no_target(adding: MakeCaller) -> None:
    encoder = make_encoder("tabular", "regression")
    response = adding(encoder)("POST", "/explain?target=x", json={"row": encoder.example()})
    assert (response.status_code, "has no classes" in response.json()["error"]) == (422, True)


def test_more_than_two_at_once_are_told_to_come_back(call: Caller) -> None:
    body = {"image": [[0] * 6] * 8}

    async def work() -> list[httpx.Response]:
        return await asyncio.gather(*(call.client.post("/explain", json=body) for _ in range(12)))

    responses = call.runner.run(work())
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 2
    refused = next(response for response in responses if response.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert call("POST", "/explain", json=body).status_code == 200  # the places are free again
