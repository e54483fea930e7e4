"""What no data of a modality may break, found by the real Great Expectations before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thresher.contracts.expectation import Contract, Expectation
from thresher.contracts.report import ContractReport, ExpectationResult, failure_message
from thresher.contracts.validation import check
from thresher.modalities import EncodingChoice
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.table import Table
from thresher.pipelines.contract.nodes import describe_samples

pytestmark = pytest.mark.slow


def objects(*values: Any) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def series(*lengths: int) -> np.ndarray:
    return objects(*(np.full((length, 2), length, np.float32) for length in lengths))


def split(name: str, inputs: Any, labels: Any = None) -> Samples[Any]:
    places = np.array([f"{name}.csv:{row + 2}" for row in range(len(inputs))], dtype=object)
    given = np.arange(len(inputs)) % 2 if labels is None else np.array(labels)
    return Samples(inputs, given, ("no", "yes") if given.dtype == np.int64 else (), places)


def run(train: Samples[Any], test: Samples[Any], lines: Contract | None = None, **encoding: Any) -> ContractReport:
    choice = EncodingChoice.model_validate(encoding)
    table = describe_samples(train, test, choice)
    return check(table, lines or [], train.class_names, choice.root, None)


def failures(report: ContractReport) -> list[ExpectationResult]:
    assert report.success == (not report.failed)
    return report.failed


def test_an_empty_text_is_found_with_its_place() -> None:
    report = run(split("train", objects("a b", "c")), split("test", objects("d", " ")), kind="text")
    (empty,) = failures(report)
    assert (empty.column, empty.message) == ("num_words", "1 of 4 samples (25 %) break it.")
    assert str(empty.examples[0]) == "0 at test[1] (test.csv:3)"
    assert "0 at test[1] (test.csv:3)" in failure_message(report)


def test_series_without_a_step_or_too_long_or_with_gaps() -> None:
    test = split("test", series(3, 0))
    assert [result.column for result in failures(run(split("train", series(2, 5)), test, kind="series"))] == ["length"]
    gap = split("test", series(9, 2))
    gap.inputs[1][0, 0] = np.nan
    strict = failures(run(split("train", series(4, 5)), gap, kind="series", max_length=8, missing="refuse"))
    assert [(result.column, str(result.examples[0])) for result in strict] == [
        ("length", "9 at test[0] (test.csv:2)"),
        ("num_missing", "1 at test[1] (test.csv:3)"),
    ]


def rows(jobs: list[Any], ages: list[float]) -> Table:
    return Table({"job": objects(*jobs), "age": np.array(ages)})


TRAIN = split("train", rows(["clerk", "smith", "clerk"], [30.0, 40.0, 50.0]), [1.5, 2.5, 3.5])


def test_categories_and_missing_values_that_training_never_saw() -> None:
    test = split("test", rows(["clark", "clerk", None], [31.0, np.nan, 51.0]), [1.0, 2.0, 3.0])
    found = failures(run(TRAIN, test, kind="tabular"))
    assert [(result.expectation, result.column, str(result.examples[0])) for result in found] == [
        ("expect_column_values_to_not_be_null", "job", "None at test[2] (test.csv:4)"),
        ("expect_column_values_to_be_in_set", "job", "clark at test[0] (test.csv:2)"),
        ("expect_column_values_to_not_be_null", "age", "None at test[1] (test.csv:3)"),
    ]
    assert found[1].arguments["value_set"] == ["clerk", "smith"]
    assert "50% of its values are categories that train never has" in found[1].fix
    few = split("test", rows(["clark", *["clerk"] * 12], [31.0] * 13), [1.0] * 13)
    (unseen,) = [result for result in failures(run(TRAIN, few, kind="tabular")) if result.column == "job"]
    assert "unseen_categories: other" in unseen.fix
    lenient = failures(run(TRAIN, test, kind="tabular", unseen_categories="other"))
    assert [result.column for result in lenient] == ["age"]


def test_what_training_lacks_too_may_be_missing() -> None:
    train = split("train", rows(["clerk", None, "smith"], [30.0, np.nan, 50.0]), [1.0, 2.0, 3.0])
    assert run(train, split("test", rows([None], [np.nan]), [1.0]), kind="tabular").success is False  # a leak
    assert run(train, split("test", rows([None], [31.0]), [1.0]), kind="tabular").success
    assert run(train, split("test", rows(["smith"], [np.nan]), [1.0]), kind="tabular").success


def test_labels_outside_of_the_classes() -> None:
    train = split("train", objects("a", "b", "c"), [0, 1, 4])
    (label,) = failures(run(train, split("test", objects("d", "e")), kind="text"))
    assert (label.column, str(label.examples[0])) == ("label", "4 at train[2] (train.csv:4)")


def test_a_recipe_says_how_many_published_samples_may_be_in_train() -> None:
    train, test = split("train", objects("a", "b", "c", "d")), split("test", objects("x", "c", "y", "z"))
    (leak,) = failures(run(train, test, kind="text"))
    assert [str(example) for example in leak.examples] == ["train[2] train.csv:4 at test[1] (test.csv:3)"]
    assert "same_content_in_train, mostly" in leak.fix
    arguments = {"column": "same_content_in_train", "row_condition": 'col("split") == "test"'}
    for mostly, holds in ((0.7, True), (0.8, False)):
        line = Expectation({"expect_column_values_to_be_null": {**arguments, "mostly": mostly}})
        report = run(train, test, [line], kind="text")
        assert report.success is holds
        (own,) = (result for result in report.results if result.column == "same_content_in_train")
        assert own.message == f"1 of 4 samples are in train as well; {100 * (1 - mostly):.3g} % may."


@pytest.mark.oddity(
    "Splits and contracts",
    "a class with one sample in all",
    "breaks the contract, which says that no split can be made of it",
)
def test_a_class_with_one_sample_is_not_told_to_add_some_to_test() -> None:
    train = Samples(objects("a", "b", "c", "e", "e"), np.array([0, 1, 0, 2, 2]), ("no", "yes", "rare"))
    test = Samples(objects("x", "y"), np.array([0, 1]), ("no", "yes", "rare"))
    (missing,) = failures(run(train, test, kind="text"))
    assert missing.message == "Missing: rare."
    assert missing.fix.startswith("of 'rare' the data holds one sample, or copies of one, and no split can")
    known = Samples(objects("a", "b", "c", "e", "f"), train.labels, train.class_names)
    (missing,) = failures(run(known, test, kind="text"))
    assert missing.fix.startswith("add samples of these classes to test")
