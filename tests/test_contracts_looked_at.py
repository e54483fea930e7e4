"""A line of a contract that looks at nothing does not hold; names of any kind are shown as they are, and never run."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from thresher.contracts.expectation import Contract
from thresher.contracts.report import ContractReport, ExpectationResult, failure_message, summarize
from thresher.contracts.validation import check
from thresher.modalities.description import describe
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.encoder import TabularEncoding
from thresher.modalities.tabular.table import Table

pytestmark = pytest.mark.slow
BETWEEN, IN_SET = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
NOT_IN_SET = "expect_column_values_to_not_be_in_set"
NONE = "No value was checked: row_condition selects none of the 60 samples. "
TEST = 'col("split") == "test"'
NUMBER = {"type": "comparison", "column": {"name": "x"}, "operator": ">", "parameter": 0.5}
SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(2)>"
NAMES = [
    SCRIPT,
    IMAGE,
    "50% $v__0 ${HOME} {{ 7 * 7 }} %s",
    "a/b:c",
    "yes",
    "..",
    "two\nlines",
    "\u00fc\u0130\u0131\u00df \U0001f600",
]


def objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def sample_table(columns: dict[str, np.ndarray], labels: np.ndarray, names: tuple[str, ...], cut: int) -> pd.DataFrame:
    whole = Samples(Table(columns), labels, names)
    parts = (("train", whole.take(np.arange(cut))), ("test", whole.take(np.arange(cut, len(labels)))))
    return pd.concat([describe(part, split, TabularEncoding()) for split, part in parts], ignore_index=True)


@pytest.fixture(scope="module")
def report() -> ContractReport:
    """Return what lines of many kinds say of case 13's table: a column with missing values, and one without any."""
    random = np.random.default_rng(1)
    states = [("NY", "CA", None)[number % 3] for number in range(60)]
    columns = {
        "state": objects(states),
        "x": random.random(60),
        "empty": np.full(60, np.nan),
        "none": objects([None] * 60),
    }
    table = sample_table(columns, np.arange(60) % 2, ("0", "1"), 42)
    return check(
        table,
        TypeAdapter(Contract).validate_python([line for line, _, _ in LINES]),
        ("0", "1"),
        TabularEncoding(),
        None,
    )


LINES: list[tuple[dict[str, Any], bool, str]] = [
    (
        {IN_SET: {"column": "state", "value_set": ["NY", "CA"]}},
        True,
        "Holds for all 40 samples. 20 more are missing and were not checked.",
    ),
    (
        {IN_SET: {"column": "state", "value_set": ["NY"], "mostly": 0.4}},
        True,
        "20 of 40 samples (50 %) break it; 60 % may. 20 more are missing",
    ),
    (
        {BETWEEN: {"column": "x", "min_value": 5, "row_condition": 'col("split") == "tset"'}},
        False,
        f"{NONE}'split' holds test, train.",
    ),
    (
        {"expect_column_mean_to_be_between": {"column": "x", "min_value": 5, "row_condition": 'col("state") == "TX"'}},
        False,
        f"{NONE}'state' holds CA, NY.",
    ),
    (
        {
            "expect_column_unique_value_count_to_be_between": {
                "column": "x",
                "min_value": 0,
                "row_condition": 'col("x") > 7',
            }
        },
        False,
        "'x' holds numbers from 0.0",
    ),
    (
        {
            "expect_column_distinct_values_to_be_in_set": {
                "column": "x",
                "value_set": [1],
                "row_condition": 'col("x") > 7',
            }
        },
        False,
        "No value was checked",
    ),
    (
        {"expect_column_values_to_not_be_null": {"column": "x", "row_condition": 'col("x") > 7'}},
        False,
        "No value was checked",
    ),
    (
        {"expect_column_pair_values_to_be_equal": {"column_A": "x", "column_B": "x", "row_condition": 'col("x") > 7'}},
        False,
        "No value was checked",
    ),
    (
        {"expect_compound_columns_to_be_unique": {"column_list": ["x", "state"], "row_condition": 'col("x") > 7'}},
        False,
        "No value was checked",
    ),
    (
        {
            BETWEEN: {
                "column": "x",
                "min_value": 0,
                "row_condition": {"type": "and", "conditions": [NUMBER, {**NUMBER, "operator": "<"}]},
            }
        },
        False,
        "No value was checked",
    ),
    (
        {BETWEEN: {"column": "empty", "min_value": 5}},
        False,
        "No value was checked: all 60 values of 'empty' are missing.",
    ),
    (
        {IN_SET: {"column": "none", "value_set": ["a"], "mostly": 0.9}},
        False,
        "No value was checked: all 60 values of 'none' are missing.",
    ),
    (
        {"expect_column_mean_to_be_between": {"column": "empty", "min_value": 5, "severity": "warning"}},
        False,
        "No value was checked",
    ),
    (
        {BETWEEN: {"column": "x", "min_value": 0, "row_condition": 'col("label") == "1"'}},
        False,
        "'label' holds numbers, but row_condition compares it with '1', text: that is never equal.",
    ),
    (
        {BETWEEN: {"column": "x", "min_value": 0, "row_condition": 'col("label") != "1"'}},
        False,
        "column 'label' holds numbers",
    ),
    (
        {BETWEEN: {"column": "x", "min_value": 0, "row_condition": 'col("state") == 3'}},
        False,
        "column 'state' holds text, but row_condition compares it with 3.0, numbers",
    ),
    (
        {BETWEEN: {"column": "x", "min_value": 0, "row_condition": 'col("splt") == "test"'}},
        False,
        "column 'splt' is not in the sample table. Did you mean 'split'?",
    ),
    (
        {NOT_IN_SET: {"column": "x", "value_set": ["3"]}},
        False,
        "column 'x' holds numbers, but value_set compares it with '3', text",
    ),
    (
        {NOT_IN_SET: {"column": "state", "value_set": [True]}},
        False,
        "with True, which YAML reads as true or false where it is not in quotes",
    ),
    (
        {"expect_column_distinct_values_to_be_in_set": {"column": "state", "value_set": [1]}},
        False,
        "column 'state' holds text",
    ),
    (
        {"expect_column_values_to_not_match_regex": {"column": "x", "regex": "a"}},
        False,
        "column 'x' holds numbers, but this expectation looks at text.",
    ),
    (
        {"expect_column_value_lengths_to_be_between": {"column": "x", "min_value": 1}},
        False,
        "column 'x' holds numbers, but this expectation looks at text.",
    ),
    (
        {"expect_column_stdev_to_be_between": {"column": "state", "min_value": 1}},
        False,
        "column 'state' holds text, but this expectation looks at numbers.",
    ),
    (
        {BETWEEN: {"column": "state", "min_value": 1}},
        False,
        "column 'state' holds text, but min_value compares it with 1, numbers",
    ),
    (
        {"expect_column_mean_to_be_between": {"column": "x", "min_value": 0, "row_condition": TEST}},
        True,
        " over 18 values.",
    ),
    ({"expect_column_values_to_be_null": {"column": "none"}}, True, "Holds for all 60 samples."),
    (
        {"expect_column_proportion_of_non_null_values_to_be_between": {"column": "empty", "max_value": 0}},
        True,
        "Observed: 0",
    ),
    ({"expect_table_row_count_to_be_between": {"max_value": 0, "row_condition": 'col("x") > 7'}}, True, "Observed: 0."),
]


@pytest.mark.oddity(
    "Splits and contracts",
    "a contract line that selects no row, or a column without values",
    "fails with the reason; how many values were looked at and missing is said",
)
@pytest.mark.oddity(
    "Splits and contracts", "a contract line that compares numbers with text, or text with numbers", "fails and says so"
)
@pytest.mark.parametrize("number", range(len(LINES)))
def test_a_line_that_looks_at_nothing_fails_and_says_why(report: ContractReport, number: int) -> None:
    _, holds, says = LINES[number]
    result = report.results[number]
    assert says in result.message
    assert result.success is holds
    assert bool(result.fix) is not holds


def test_how_many_values_were_looked_at_and_missing_is_in_the_report(report: ContractReport) -> None:
    assert [(result.num_values, result.num_missing) for result in report.results[:3]] == [(40, 20), (40, 20), (0, 0)]
    assert (report.results[10].num_values, report.results[10].num_missing) == (0, 60)
    assert report.results[24].num_values == 18
    assert not report.success
    assert ContractReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize(
    "condition", ['col("x") > 0 and col("split") == "tset"', "split == 'test'", 'col("x") >', "col(x) > 0", ""]
)
def test_what_is_more_than_one_comparison_is_refused_when_it_is_read(condition: str) -> None:
    """Great Expectations reads the first comparison and leaves out the rest without a word."""
    line = {BETWEEN: {"column": "x", "min_value": 0, "row_condition": condition}}
    with pytest.raises(ValidationError, match="expected one comparison"):
        TypeAdapter(Contract).validate_python([line])


class Page(HTMLParser):
    """Collects the tags of a page, their attributes and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.oddity(
    "Splits and contracts",
    "names of columns and classes with markup, $, {}, %, /, quotes",
    "are shown as they are in the contract's page; nothing of them is run",
)
def test_names_are_shown_as_they_are_and_nothing_of_them_is_run(tmp_path: Path) -> None:
    columns = {name: objects([NAMES[row % len(NAMES)] for row in range(64)]) for name in NAMES}
    columns[SCRIPT] = np.arange(64.0) % 7
    table = sample_table(columns, np.arange(64, dtype=np.int64) % len(NAMES), tuple(NAMES), 40)
    lines = [
        {IN_SET: {"column": IMAGE, "value_set": [SCRIPT]}},
        {BETWEEN: {"column": SCRIPT, "min_value": 5}},
        {BETWEEN: {"column": f"no {IMAGE}", "min_value": 5}},
        {"expect_column_distinct_values_to_contain_set": {"column": IMAGE, "value_set": [f"more {SCRIPT}"]}},
    ]
    report = check(table, TypeAdapter(Contract).validate_python(lines), tuple(NAMES), TabularEncoding(), tmp_path)
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert not page.tags & {"script", "img"}
    assert page.attributes <= {"class", "id", "charset", "name", "content", "lang"}
    for name in NAMES:
        assert name in page.text
        assert f"{name} in test is a category that train has." in page.text or name == SCRIPT
    assert failure_message(report)
    assert json.loads(report.model_dump_json())


def warnings(columns: dict[str, np.ndarray], labels: np.ndarray, names: tuple[str, ...] = ("no", "yes")) -> list[str]:
    from thresher.contracts.plan import add_leak_column
    from thresher.contracts.suspicion import find_warnings

    table = sample_table(columns, labels, names, 2 * len(labels) // 3)
    return find_warnings(add_leak_column(table), TabularEncoding())


RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 2, 300)
NOISE = {"noise": RANDOM.random(300), "place": objects([f"p{number}" for number in RANDOM.integers(0, 9, 300)])}


@pytest.mark.oddity(
    "Splits and contracts",
    "a column that numbers the rows, or predicts the label on its own",
    "is said as a warning, with the fix",
)
@pytest.mark.parametrize(
    ("column", "says"),
    [
        (np.arange(300.0), "only rises from row to row"),
        (RANDOM.permutation(300) + 1000.0, "numbers the 200 rows"),
        (np.arange(300.0)[::-1] * 60 + 1.7e9, "only falls from row to row"),
        (objects([f"u{number:x}" for number in RANDOM.permutation(300)]), "another value in each of the 200 rows"),
        (LABELS * 7.0, "predicts the label on its own, correctly for 100 of the 100"),
        (objects([("spam", "ham")[label] for label in LABELS]), "predicts the label on its own"),
        (LABELS + 0.9 * RANDOM.random(300), "predicts the label on its own"),
        (objects([None if label else "x" for label in LABELS]), "predicts the label on its own"),
        (np.where(LABELS == 1, np.nan, RANDOM.random(300)), "predicts the label on its own"),
    ],
)
def test_a_column_that_numbers_rows_or_tells_the_label_is_said(column: np.ndarray, says: str) -> None:
    (sentence,) = warnings({**NOISE, "c": column}, LABELS)
    assert sentence.startswith("Column 'c' ")
    assert says in sentence
    assert "drop: [c]" in sentence


def test_a_file_sorted_by_class_makes_its_row_number_tell_the_label() -> None:
    where = np.random.default_rng(1).permutation(900)
    columns = {"row": np.arange(900.0)[where], "noise": np.random.default_rng(2).random(900)}
    sentences = warnings(columns, np.arange(900)[where] // 450)
    assert any("numbers the 600 rows" in sentence for sentence in sentences)
    assert any("predicts the label on its own" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    "column",
    [
        RANDOM.random(300),  # unique, but a measurement
        np.sort(RANDOM.random(300)),
        RANDOM.integers(0, 10**9, 300).astype(float),
        RANDOM.integers(0, 50, 300).astype(float),
        LABELS + RANDOM.normal(0, 0.5, 300),  # a good feature, not the label
        objects([("a", "b")[label] if RANDOM.random() < 0.9 else "c" for label in LABELS]),
        objects(["one"] * 300),
        np.full(300, np.nan),
        objects([f"t{number // 2}" for number in range(300)]),
    ],
)
def test_there_is_no_false_alarm(column: np.ndarray) -> None:
    assert warnings({**NOISE, "c": column}, LABELS) == []


def test_a_rare_class_that_is_told_is_found_and_one_that_is_not_is_not() -> None:
    rare = (np.arange(900) % 25 == 0).astype(np.int64)
    noise = {"noise": np.random.default_rng(2).random(900)}
    assert any("predicts the label" in each for each in warnings({**noise, "c": rare * 1.0}, rare))
    assert warnings({**noise, "c": np.random.default_rng(3).random(900)}, rare) == []


def test_a_number_in_other_words_is_said_and_a_good_feature_is_not() -> None:
    value = RANDOM.normal(20, 5, 300)
    (sentence,) = warnings({**NOISE, "fahrenheit": value * 1.8 + 32}, value, ())
    assert "explains 100.00 % of its variance" in sentence
    assert warnings({**NOISE, "near": value + RANDOM.normal(0, 1, 300)}, value, ()) == []


@pytest.mark.parametrize(("later", "said"), [(5.0, 1), (7.0, 0)])
def test_a_column_with_one_value_in_train_and_others_in_test_is_said(later: float, said: int) -> None:
    found = warnings({**NOISE, "c": np.r_[np.full(200, 7.0), np.full(99, later), 7.0]}, LABELS)
    assert len(found) == said and all("Column 'c' has one value in train and others in test" in each for each in found)


@pytest.mark.oddity(
    "Splits and contracts",
    "test texts that differ from training texts in case, blanks or Unicode form alone",
    "are said as near duplicates",
)
@pytest.mark.oddity("Splits and contracts", "equal samples with different labels", "are said with examples")
def test_near_duplicates_and_labels_that_differ_are_said() -> None:
    from thresher.contracts.plan import add_leak_column
    from thresher.contracts.suspicion import find_warnings
    from thresher.modalities.text.encoder import TextEncoding

    train = Samples(objects(["Caf\u00e9 au lait", "b c", "d", "d"]), np.array([0, 1, 0, 1]), ("no", "yes"))
    test = Samples(
        objects(["cafe\u0301  AU\u00a0lait", "b c", "B\u200b c", "new"]), np.array([0, 1, 1, 0]), ("no", "yes")
    )
    parts = [describe(part, split, TextEncoding()) for split, part in (("train", train), ("test", test))]
    near, differ = find_warnings(add_leak_column(pd.concat(parts)), TextEncoding())
    assert near.startswith("2 of 4 samples of test are nearly in train")
    assert "test[0] and train[0]; test[2] and train[1]" in near
    assert differ.startswith(
        "2 of 8 samples have the content of one with another label: train[2] is 'no', train[3] is 'yes'"
    )


def test_rows_are_near_duplicates_in_their_texts() -> None:
    names = {
        "town": objects(["K\u00f6ln", "Bonn", "1.0"] + ["x"] * 7 + ["k\u00f6ln ", "Aachen", "+1"]),
        "n": np.array([1.0, 2, 3, *range(4, 11), 1, 2, 3]),
    }
    table = sample_table(names, np.zeros(13, np.int64), ("a",), 10)
    from thresher.contracts.plan import add_leak_column
    from thresher.contracts.suspicion import find_warnings

    (near,) = find_warnings(add_leak_column(table), TabularEncoding())
    assert near.startswith("2 of 3 samples of test are nearly in train")


@pytest.mark.oddity(
    "Splits and contracts", "test rows that are training rows with the columns in another order", "break the contract"
)
def test_rows_of_train_are_found_with_columns_in_another_order() -> None:
    """Case 23."""
    from thresher.contracts.plan import LEAK_COLUMN, add_leak_column

    random = np.random.default_rng(1)
    columns = {"x": random.random(30), "z": random.random(30)}
    labels = (columns["x"] > columns["z"]).astype(np.int64)
    train = Samples(Table(columns), labels, ("p", "q"))
    test = Samples(Table({name: columns[name][:15] for name in ("z", "x")}), labels[:15], ("p", "q"))
    parts = [describe(part, split, TabularEncoding()) for split, part in (("train", train), ("test", test))]
    table = add_leak_column(pd.concat(parts, ignore_index=True))
    assert table[LEAK_COLUMN].notna().sum() == 15


def test_a_row_that_leaks_does_not_make_each_column_tell_the_label() -> None:
    columns = {name: np.tile(np.random.default_rng(seed).random(60), 2) for name, seed in (("x", 5), ("z", 6))}
    columns = {name: values[:90] for name, values in columns.items()}
    assert warnings(columns, np.tile(LABELS[:60], 2)[:90]) == []


def test_what_a_kept_contract_left_out_is_told(report: ContractReport) -> None:
    told = summarize(report.model_copy(update={"results": report.results[:1], "warnings": ["w"], "information": ["i"]}))
    assert told[0].startswith("Contract: expect_column_values_to_be_in_set: {column: state, value_set: [")
    assert told[0].endswith("Holds for all 40 samples. 20 more are missing and were not checked.")
    assert told[1:] == ["Contract, warning: w", "i"]


def test_results_say_what_they_demand(report: ContractReport) -> None:
    built_in: list[ExpectationResult] = [result for result in report.results if result.origin == "built in"]
    assert all(result.description for result in built_in)
