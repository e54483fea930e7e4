"""A threshold of one class: chosen for what is asked, kept in the file, and one rule for all that reads it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import f1_score, precision_score, recall_score

from thresher.errors import CompressionError
from thresher.evaluation.baseline import compare_with_baseline
from thresher.evaluation.decision import (
    Aim,
    ByCost,
    ByF1,
    ByPrecision,
    ByRecall,
    Decision,
    choose_threshold,
    decide,
    read_rule,
)
from thresher.evaluation.own_metrics import measure_own_metrics
from thresher.evaluation.quality import measure_quality
from thresher.evaluation.selection import Selection
from thresher.evaluation.slices import compare_slices
from thresher.modalities.decision import DecisionRule, choose_classes
from thresher.modalities.samples import EncodedSamples

NAMES = ("ham", "spam")
RULE = DecisionRule(class_name="spam", class_index=1, threshold=0.25)


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray]:
    """Scores of 600 samples, a fifth of them of the class, some scores alike; and which are of it."""
    random = np.random.default_rng(2)
    is_class = random.random(600) < 0.2
    scores = 1 / (1 + np.exp(-random.normal(np.where(is_class, 0.0, -2.0), 1.2)))
    return np.round(scores, 2).clip(0.01, 0.99).astype(np.float32), is_class


def every_cut(scores: np.ndarray) -> list[np.ndarray]:
    """Return who is answered with the class, for each threshold that makes a difference."""
    return [scores >= score for score in np.unique(scores)]


def test_a_chosen_threshold_is_the_best_of_all_there_are(scored: tuple[np.ndarray, np.ndarray]) -> None:
    scores, is_class = scored

    def said(aim: Aim) -> np.ndarray:
        return scores >= np.float32(choose_threshold(scores, is_class, aim, "spam"))

    cuts = every_cut(scores)
    assert f1_score(is_class, said(ByF1())) == max(f1_score(is_class, cut) for cut in cuts)
    precise = [cut for cut in cuts if precision_score(is_class, cut) >= 0.6]
    found = said(ByRecall(precision=0.6))
    assert precision_score(is_class, found) >= 0.6
    assert recall_score(is_class, found) == max(recall_score(is_class, cut) for cut in precise)
    finding = [cut for cut in cuts if recall_score(is_class, cut) >= 0.9]
    right = said(ByPrecision(recall=0.9))
    assert recall_score(is_class, right) >= 0.9
    assert precision_score(is_class, right) == max(precision_score(is_class, cut) for cut in finding)

    def cost(cut: np.ndarray) -> float:
        return float(7 * (is_class & ~cut).sum() + (cut & ~is_class).sum())

    assert cost(said(ByCost(missed=7, false_alarm=1))) == min(cost(cut) for cut in [*cuts, scores > 1])


def test_an_aim_that_no_threshold_reaches_says_what_is_reached() -> None:
    scores, is_class = np.array([0.2, 0.4, 0.6, 0.8], np.float32), np.array([True, False, True, False])
    with pytest.raises(CompressionError, match=r"The highest precision of 'spam' is 0\.5\d*, and 0\.9 is asked for"):
        choose_threshold(scores, is_class, ByRecall(precision=0.9), "spam")
    with pytest.raises(CompressionError, match="0 samples of 'spam' and 4 of other classes"):
        choose_threshold(scores, np.zeros(4, bool), ByF1(), "spam")


@pytest.mark.parametrize("wrong", [{}, {"threshold": 0.3, "choose": {"kind": "f1"}}, {"threshold": 1.0}])
def test_a_decision_has_a_threshold_or_an_aim(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Decision.model_validate({"class": "spam", **wrong})


def test_one_class_against_the_rest() -> None:
    outputs = np.array([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0.1, 0.25, 0.65], [0.2, 0.7, 0.1]], np.float32)
    assert choose_classes(outputs, None).tolist() == [0, 0, 2, 1]
    assert choose_classes(outputs, RULE).tolist() == [1, 0, 1, 1]
    strict = RULE.model_copy(update={"threshold": 0.8})
    assert choose_classes(outputs, strict).tolist() == [0, 0, 2, 0]  # the likeliest of the others


def test_a_rule_is_like_another_that_was_chosen_for_the_same() -> None:
    chosen = RULE.model_copy(update={"chosen_for": "the highest F1"})
    assert chosen.is_like(chosen.model_copy(update={"threshold": 0.7}))
    assert not RULE.is_like(RULE.model_copy(update={"threshold": 0.7})) and not RULE.is_like(None)
    assert not RULE.is_like(chosen) and RULE.is_like(RULE.model_copy())


def test_the_file_has_the_rule_and_the_exported_predictor_decides_by_it(
    float_onnx: bytes, project: Path, scored: tuple[np.ndarray, np.ndarray]
) -> None:
    scores, is_class = scored
    probabilities, labels = np.stack([1 - scores, scores], axis=1), is_class.astype(np.int64)
    decision = Decision.model_validate({"class": "spam", "choose": {"kind": "precision", "recall": 0.9}})
    decided, report = decide(float_onnx, probabilities, labels, NAMES, decision, "float")
    assert read_rule(float_onnx) is None and read_rule(decided) == report.rule
    classes = choose_classes(probabilities, report.rule)
    assert report.recall == recall_score(labels, classes) >= 0.9
    assert report.precision == precision_score(labels, classes)

    place = project / "src" / "thresher" / "exported" / "predictor.py"
    spec = importlib.util.spec_from_file_location("predictor", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    predictor = module.Predictor.__new__(module.Predictor)
    predictor.info = {"decision": json.loads(report.rule.model_dump_json())}
    assert (predictor.choose_classes(probabilities) == classes).all()
    predictor.info = {}
    assert (predictor.choose_classes(probabilities) == probabilities.argmax(axis=1)).all()


def test_whatever_judges_classes_judges_the_decided_ones(scored: tuple[np.ndarray, np.ndarray]) -> None:
    import pandas as pd

    scores, is_class = scored
    outputs, labels = np.stack([1 - scores, scores], axis=1), is_class.astype(np.int64)
    classes, right = choose_classes(outputs, RULE), (choose_classes(outputs, RULE) == labels).mean()
    quality = measure_quality(outputs, outputs, labels, (RULE, None))
    assert quality.figure == right != quality.reference_figure == (outputs.argmax(1) == labels).mean()
    (own,) = measure_own_metrics(["recall[spam]"], outputs, outputs, labels, NAMES, (RULE, None)).values()
    assert own.value == recall_score(labels, classes) > own.reference
    samples = EncodedSamples(outputs, labels, NAMES)
    selection = Selection.model_validate(
        {"require": {}, "slices": {"by": ["part"], "min_samples": 10, "accuracy_drop": {"at_most": 1}}}
    )
    baseline = compare_with_baseline(samples, samples, {"float": outputs}, selection, {"float": RULE})
    assert baseline.metric == "balanced_accuracy"
    assert baseline.beside["float"]["accuracy"].value == right
    parts = pd.DataFrame({"part": np.where(np.arange(600) < 300, "a", "b")})
    assert selection.slices is not None
    both = {"float": outputs, "half": outputs}
    slices = compare_slices(parts, selection.slices, labels, both, "float", NAMES, {"half": RULE})
    for part in slices.candidates["half"]:
        half = slice(0, 300) if part.value == "a" else slice(300, 600)
        assert part.figure == (classes == labels)[half].mean()
