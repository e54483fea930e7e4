"""Parts of the test split have a bound of their own, and the worst part is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from thresher.errors import DataError
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.selection import Requirement, Selection, Slices
from thresher.evaluation.slices import MAX_PARTS, SliceComparison, compare_slices, cut_slices

NUM_SAMPLES = 400
NAMES = ("cat", "dog")


@pytest.fixture
def table() -> pd.DataFrame:
    """A sample table whose rows lie about; of each ten test samples one is small and one has no age."""
    index = np.arange(NUM_SAMPLES)
    test = pd.DataFrame(
        {
            "split": "test",
            "index": index,
            "label": index % 2,
            "class_name": np.array(NAMES)[index % 2],
            "size": np.where(index % 10 == 0, "small", "large"),
            "age": np.where(index % 10 == 1, np.nan, index / 4),
            "place": [f"row {number}" for number in index],
            "name": [f"sample {number}" for number in index],
        }
    )
    train = test.head(5).assign(split="train", size="tiny")
    return pd.concat([train, test], ignore_index=True).sample(frac=1, random_state=0)


def slices(**settings: Any) -> Slices:
    return Slices.model_validate({"accuracy_drop": {"at_most": 0.1}, **settings})


def probabilities(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    classes = np.where(right, labels, 1 - labels)
    return np.eye(2, dtype=np.float32)[classes]


@pytest.fixture
def compared(table: pd.DataFrame) -> SliceComparison:
    """Float is always right; half errs on every second small one, and on one large cat."""
    asked = slices(by=["label", "size"])
    labels = np.arange(NUM_SAMPLES) % 2
    wrong = np.arange(NUM_SAMPLES) % 20 == 0
    wrong[2] = True
    answers = {"float": np.ones(NUM_SAMPLES, bool), "half": ~wrong}
    outputs = {name: probabilities(right, labels) for name, right in answers.items()}
    return compare_slices(cut_slices(table, asked), asked, labels, outputs, "float")


def test_each_sample_belongs_to_a_part_of_every_column_in_the_order_of_the_split(table: pd.DataFrame) -> None:
    parts = cut_slices(table, slices(by=["label", "size", "age"]))
    assert list(parts.columns) == ["label", "size", "age"] and len(parts) == NUM_SAMPLES
    assert parts["label"].tolist() == [NAMES[number % 2] for number in range(NUM_SAMPLES)]
    assert set(parts["size"]) == {"small", "large"}
    counts = parts["age"].value_counts()
    assert counts["missing"] == NUM_SAMPLES // 10
    assert len(counts) == 5 and counts.drop("missing").between(88, 92).all()
    assert parts["age"][0] == "0 to 25" or parts["age"][0].startswith("0 to 2")


def test_parts_are_judged_apart_the_worst_first(compared: SliceComparison) -> None:
    parts = {str(part): part for part in compared.candidates["half"]}
    assert set(parts) == {"label=cat", "label=dog", "size=small", "size=large"}
    assert (parts["size=small"].num_samples, parts["size=small"].figure) == (40, 0.5)
    assert parts["label=dog"].loss.value == 0
    assert parts["label=cat"].loss.value == pytest.approx(21 / 200)
    assert str(compared.candidates["half"][0]) == "size=small"
    assert "float" not in compared.candidates


def test_the_worst_part_is_the_reason(compared: SliceComparison, evaluation: Callable[..., Evaluation]) -> None:
    results = {one.candidate: one for one in (evaluation(), evaluation("half", 0.5))}

    def judged(**bound: float) -> Any:
        asked = {"by": ["label", "size"], "accuracy_drop": bound}
        return judge("digits", results, Selection.model_validate({"slices": asked}), compared).of("half")

    assert judged(at_most=0.1).reason == "slice size=small, and 1 more: accuracy_drop 0.5000 > 0.1000"
    assert not judged(at_most=0.1).qualifies
    assert judged(at_most=0.5).wins
    sure = judged(at_most=0.5, confidence=0.95).reason
    assert sure.startswith("slice size=small: accuracy_drop 0.5000, upper bound 0.6") and sure.endswith(" > 0.5000")


@pytest.mark.parametrize(("least", "too_small"), [(40, {}), (41, {"size=small": 40})])
def test_small_parts_are_reported_and_not_judged(table: pd.DataFrame, least: int, too_small: dict[str, int]) -> None:
    asked = slices(by=["size"], min_samples=least)
    labels = np.arange(NUM_SAMPLES) % 2
    outputs = dict.fromkeys(("float", "half"), probabilities(np.ones(NUM_SAMPLES, bool), labels))
    compared = compare_slices(cut_slices(table, asked), asked, labels, outputs, "float")
    assert compared.too_small == too_small
    judged = {str(part) for part in compared.candidates["half"]}
    assert judged == {"size=large", "size=small"} - too_small.keys()


@pytest.mark.parametrize(("different", "num_parts"), [(MAX_PARTS, MAX_PARTS), (MAX_PARTS + 1, 4)])
def test_numbers_are_cut_into_quarters_where_they_have_more_values_than_parts_may_be(
    table: pd.DataFrame, different: int, num_parts: int
) -> None:
    numbers = table.assign(age=table["index"] % different)
    assert cut_slices(numbers, slices(by=["age"]))["age"].nunique() == num_parts


def test_the_labels_of_a_regression_which_have_no_names_are_cut_by_their_values(table: pd.DataFrame) -> None:
    for unnamed in (table.drop(columns="class_name"), table.assign(class_name=None)):
        parts = cut_slices(unnamed.assign(label=unnamed["index"] % 3 + 0.5), slices(by=["label"]))
        assert set(parts["label"]) == {"0.5", "1.5", "2.5"}


def test_values_have_an_increase_of_their_rmse(table: pd.DataFrame) -> None:
    asked = Slices.model_validate({"by": ["size"], "rmse_increase": {"at_most": 1, "confidence": 0.9}})
    labels = np.linspace(0, 10, NUM_SAMPLES)
    small = np.arange(NUM_SAMPLES) % 10 == 0
    outputs = {"float": (labels + 1)[:, None], "half": (labels + np.where(small, 3, 1))[:, None]}
    compared = compare_slices(cut_slices(table, asked), asked, labels, outputs, "float")
    worst, other = compared.candidates["half"]
    assert (worst.value, worst.figure, worst.reference_figure) == ("small", pytest.approx(3), pytest.approx(1))
    assert (worst.loss.value, worst.loss.confidence) == (pytest.approx(2), 0.9)
    assert other.loss.value == pytest.approx(0)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("sise", r"the sample table has no column 'sise'\. Did you mean 'size'\? Allowed: age, class_name"),
        ("name", r"column 'name' has 400 values in the test split\. Name a column of at most 50"),
    ],
)
def test_a_column_that_makes_no_parts_is_told(column: str, text: str, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=text):
        cut_slices(table, slices(by=[column]))


@pytest.mark.parametrize(
    "settings",
    [{}, {"accuracy_drop": {"at_most": 1}, "rmse_increase": {"at_most": 1}}, {"accuracy_drop": {"at_least": 0}}],
)
def test_one_bound_from_above_is_given(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"give one of accuracy_drop|needs at_most"):
        Slices.model_validate({"by": ["label"], **settings})


def test_parts_keep_a_bound_on_a_metric_of_their_own_and_float_is_held_to_it(
    table: pd.DataFrame, evaluation: Callable[..., Evaluation]
) -> None:
    bound = {"recall[dog]": {"at_least": 0.9}}
    asked = Slices.model_validate({"by": ["size", "label"], "require": bound})
    labels = np.arange(NUM_SAMPLES) % 2
    small = np.arange(NUM_SAMPLES) % 20 == 1  # dogs, all of them large
    parts = cut_slices(table, asked)
    outputs = {"float": probabilities(~small, labels), "half": probabilities(labels >= 0, labels)}
    compared = compare_slices(parts, asked, labels, outputs, "float", NAMES)
    # All of size=small are cats: recall of dogs has no value there.
    assert {str(part): part.of("recall[dog]") is None for part in compared.candidates["half"]} == {
        "size=large": False, "size=small": True, "label=cat": True, "label=dog": False,
    }  # fmt: skip
    results = {one.candidate: one for one in (evaluation(), evaluation("half", 0.5))}
    verdict = judge("digits", results, Selection(slices=asked), compared)
    assert verdict.of("float").qualifies
    strict = asked.model_copy(update={"require": {"recall[dog]": Requirement(at_least=0.95)}})
    verdict = judge("digits", results, Selection(slices=strict), compared)
    assert verdict.of("float").reason == "slice size=large, and 1 more: recall[dog] 0.9 < 0.95"
    assert verdict.of("half").wins
