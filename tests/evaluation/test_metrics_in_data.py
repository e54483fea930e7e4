"""Metrics that a recipe names are held against the data before anything is trained, and they decide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from thresher.errors import DataError
from thresher.evaluation.baseline import compare_with_baseline
from thresher.evaluation.cost import Cost
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.own_metrics import OwnMetric, measure_own_metrics
from thresher.evaluation.promotion_gate import decide
from thresher.evaluation.selection import Selection
from thresher.modalities.samples import Samples
from thresher.pipelines.contract.nodes import count_classes

NAMES = ("ham", "spam")
Evaluate = Callable[..., Evaluation]


def samples(labels: list[int]) -> Samples[np.ndarray]:
    return Samples(np.zeros((len(labels), 1, 2, 2), np.uint8), np.array(labels), NAMES)


def measured(right: np.ndarray, reference: np.ndarray, *names: str) -> dict[str, OwnMetric]:
    """Return metrics of answers that are right where it is said, of 400 samples of which every fourth is spam."""
    labels = (np.arange(400) % 4 == 0).astype(np.int64)
    outputs = (np.eye(2)[np.where(each, labels, 1 - labels)] for each in (right, reference))
    return measure_own_metrics(names, *outputs, labels, NAMES)


def test_the_test_split_is_looked_at_first() -> None:
    train = samples([0, 1, 0, 1])
    assert count_classes(train, samples([0, 1, 1]), ["recall[spam]"]).tolist() == [1, 2]
    with pytest.raises(DataError, match="no value on the test split: there is no sample of class 'spam'"):
        count_classes(train, samples([0, 0, 0]), ["recall[spam]"])
    with pytest.raises(DataError, match=r"there is no class 'Spam'\. Did you mean 'spam'?"):
        count_classes(train, samples([0, 1, 0]), ["recall[Spam]"])


def test_the_most_of_a_metric_wins_and_a_bound_of_a_class_keeps_a_candidate_out(evaluation: Evaluate) -> None:
    right, few = (np.arange(400) % 40 != first for first in (41, 0))
    half = right & few & (np.arange(400) % 40 != 20)
    results = {
        name: evaluation(name, 0.5).model_copy(update={"own": measured(answers, few, "recall[spam]", "mcc")})
        for name, answers in (("float", few), ("better", right), ("worse", half))
    }
    bound = {"recall[spam]": {"at_least": 0.8, "confidence": 0.95}}
    verdict = judge("spam", results, Selection.model_validate({"maximize": "mcc", "require": bound}))
    assert (verdict.winner, verdict.objective) == ("better", "most mcc")
    assert verdict.of("better").reason.startswith("most mcc: 1 against 0.")
    assert verdict.of("float").reason.startswith("less correlated with the labels than better: 0.")
    assert verdict.of("worse").reason.startswith("recall[spam] 0.8, lower bound 0.7")


def test_where_a_class_is_required_the_balance_shows_what_was_learned() -> None:
    # 5 of 100 are spam. Four of them are found, at the price of six others: no better than always 'ham' in accuracy.
    labels = np.tile((np.arange(100) < 5).astype(np.int64), 4)
    outputs = np.eye(2)[np.tile((np.arange(100) > 0) & (np.arange(100) < 11), 4).astype(int)]
    split = Samples(np.zeros((400, 1)), labels, NAMES)
    of = {"float": outputs}
    assert compare_with_baseline(split, split, of, Selection()).fails("float")
    asked = Selection.model_validate({"require": {"recall[spam]": {"at_least": 0.7}}})
    baseline = compare_with_baseline(split, split, of, asked)
    assert (baseline.metric, baseline.fails("float")) == ("balanced_accuracy", "")


@pytest.mark.parametrize(("lost", "replaces"), [(0, True), (40, False)])
def test_a_winner_that_finds_surely_less_does_not_replace_the_champion(
    lost: int, replaces: bool, evaluation: Evaluate
) -> None:
    places = np.flatnonzero(np.arange(400) % 4 == 0)[:lost]
    right, champion = np.ones(400, bool), np.ones(400, bool)
    right[places] = False
    champion[1] = False
    ours = evaluation("half", lost=60).model_copy(update={"own": measured(right, champion, "recall[spam]")})
    selection = Selection.model_validate({"minimize": "macs", "require": {"recall[spam]": {"at_least": 0.1}}})
    cost = Cost(size_bytes=1000, compressed_bytes=900, num_parameters=100, macs=5000)
    challenge = decide(ours, cost, selection, "3")
    # It is less accurate as well, which is not what this recipe asks for.
    assert challenge.replaces is replaces
    if not replaces:
        assert challenge.reason == "finds fewer than the champion: recall[spam] 0.6 against 1"
