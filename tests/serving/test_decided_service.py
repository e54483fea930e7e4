"""A model with a threshold: every protocol, the explanation and the counts have the class that its file decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnxruntime
import pytest
from prometheus_client import CollectorRegistry
from tiny_service import CLASS_NAMES, Caller, make_info, make_onnx

from thresher.modalities.decision import DECISION, DecisionRule, choose_classes
from thresher.modalities.image.encoder import ImageEncoder
from thresher.onnx_graph import with_note
from thresher.serving.core.bundle import Bundle, BundleError
from thresher.serving.core.session import open_session
from thresher.serving.monitoring.shadow import ShadowMetrics

NUM = 12


@dataclass(frozen=True)
class Decided:
    caller: Caller
    images: np.ndarray
    outputs: np.ndarray
    rule: DecisionRule

    @property
    def classes(self) -> list[int]:
        return [int(each) for each in choose_classes(self.outputs, self.rule)]


@pytest.fixture(scope="module")
def decided() -> Iterator[Decided]:
    """A service whose threshold of a class gives other answers than the likeliest class does to some images."""
    images = np.random.default_rng(3).integers(0, 256, (NUM, 1, 8, 6), np.uint8)
    outputs = onnxruntime.InferenceSession(make_onnx()).run(None, {"image": images})[0]
    rule = DecisionRule(class_name="triangle", class_index=2, threshold=float(np.sort(outputs[:, 2])[NUM // 3]))
    caller = Caller(bundle_with(rule, rule))
    yield Decided(caller, images, outputs, rule)
    caller.runner.close()


def bundle_with(noted: DecisionRule | None, told: DecisionRule | None) -> Bundle:
    encoder = ImageEncoder(channels=1, height=8, width=6, mean=(0.0,), std=(1.0,), class_names=CLASS_NAMES)
    onnx_file = make_onnx() if noted is None else with_note(make_onnx(), DECISION, noted.model_dump_json())
    return Bundle(onnx_file, encoder, make_info(decision=told))


def test_rest_v2_and_the_explanation_answer_with_the_decided_class(decided: Decided) -> None:
    assert decided.classes != decided.outputs.argmax(axis=1).tolist() and len(set(decided.classes)) > 1
    response = decided.caller("POST", "/predict", json={"images": decided.images[:, 0].tolist()})
    answers = response.json()["predictions"]
    assert [answer["class_index"] for answer in answers] == decided.classes
    assert [answer["label"] for answer in answers] == [CLASS_NAMES[index] for index in decided.classes]
    told = np.array([list(answer["probabilities"].values()) for answer in answers])
    np.testing.assert_allclose(told, decided.outputs, rtol=1e-6)

    tensors = [{"name": "image", "datatype": "UINT8", "shape": [NUM, 1, 8, 6], "data": decided.images.ravel().tolist()}]
    body = {"inputs": tensors, "outputs": [{"name": "label"}, {"name": "class_index"}]}
    labels, indices = decided.caller("POST", "/v2/models/shapes/infer", json=body).json()["outputs"]
    assert indices["data"] == decided.classes
    assert labels["data"] == [CLASS_NAMES[index] for index in decided.classes]

    place = next(place for place, index in enumerate(decided.classes) if index != decided.outputs[place].argmax())
    answer = decided.caller("POST", "/explain", json={"image": decided.images[place, 0].tolist()}).json()
    assert answer["label"] == answer["target"] == CLASS_NAMES[decided.classes[place]]
    assert answer["probability"] == pytest.approx(float(decided.outputs[place, decided.classes[place]]))


def test_decided_classes_are_counted(decided: Decided) -> None:
    caller = Caller(decided.caller.predictor.bundle)
    for image in (decided.images[:1, 0], decided.images[:, 0]):
        assert caller("POST", "/predict", json={"images": image.tolist()}).status_code == 200
    caller.predictor.metrics.flush()
    caller.runner.close()
    who = {"recipe": "shapes", "model_version": "7"}
    counts = [
        caller.registry.get_sample_value("thresher_predictions_total", {**who, "label": name}) for name in CLASS_NAMES
    ]
    assert counts == np.bincount([decided.classes[0], *decided.classes], minlength=3).tolist()


def test_champion_and_challenger_are_compared_by_the_rules_of_both(decided: Decided) -> None:
    registry = CollectorRegistry()
    plain = bundle_with(None, None)
    ShadowMetrics(decided.caller.predictor.bundle, plain, registry).count(decided.outputs, decided.outputs, 0.001)
    same = sum(ours == theirs for ours, theirs in zip(decided.classes, decided.outputs.argmax(axis=1), strict=True))
    agreed = [
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "thresher_shadow_agreements_total"
    ]
    assert sum(agreed) == same < NUM


def test_a_file_and_a_bundle_that_disagree_are_not_served(decided: Decided) -> None:
    other = decided.rule.model_copy(update={"threshold": 0.5})
    for noted, told in ((decided.rule, None), (None, decided.rule), (decided.rule, other)):
        with pytest.raises(BundleError, match=r"model\.json has the decision"):
            open_session(bundle_with(noted, told))
