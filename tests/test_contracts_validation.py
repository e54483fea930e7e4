"""Contracts run by the real Great Expectations on real sample tables; one check for many assertions, as it is slow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from thresher.contracts.expectation import Contract
from thresher.contracts.report import ContractReport, ExpectationResult, failure_message, require
from thresher.contracts.validation import check
from thresher.errors import ContractError
from thresher.modalities.description import describe
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.samples import Samples

pytestmark = pytest.mark.slow

NAMES = ("cat", "dog", "<b>eel</b>")
BETWEEN = "expect_column_values_to_be_between"
ENCODING = ImageEncoding()


def samples(seed: int, count: int) -> Samples:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)
    return Samples(pixels, np.arange(count, dtype=np.int64) % 3, NAMES)


def table(train: Samples, test: Samples) -> pd.DataFrame:
    return pd.concat([describe(train, "train", ENCODING), describe(test, "test", ENCODING)])


def contract(*lines: dict[str, object]) -> Contract:
    return TypeAdapter(Contract).validate_python(list(lines))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> ContractReport:
    """Return the report of data that breaks everything there is to break."""
    train, test = samples(1, 90), samples(2, 30)
    train.labels[5] = -1
    train.inputs[8] = train.inputs[7]
    test.inputs[3], test.inputs[4] = train.inputs[7], train.inputs[50]
    test = test.take(test.labels != 2)  # no eel; samples 3 and 4 of test are now 2 and 3
    lines = contract(
        {"expect_table_row_count_to_be_between": {"min_value": 50}},
        {"expect_table_row_count_to_equal": {"value": 7}},
        {BETWEEN: {"column": "label", "min_value": 0, "max_value": 1}},
        {BETWEEN: {"column": "pixel_men", "min_value": 0}},
        {"expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "pixel_mean", "column_B": "class_name"}},
        {"expect_column_mean_to_be_between": {"column": "pixel_mean", "max_value": 1}},
        {BETWEEN: {"column": "pixel_mean", "min_value": 255, "severity": "warning"}},
        {BETWEEN: {"column": "label", "max_value": 1, "row_condition": 'col("split") == "test"'}},
        {BETWEEN: {"column": "label", "max_value": 1, "row_condition": 'col("split") == "é€"'}},
        {BETWEEN: {"column": "label", "min_value": 0, "max_value": 1}},
        {"expect_column_pair_values_to_be_equal": {"column_A": "height", "column_B": "pixel_max"}},
        {"expect_compound_columns_to_be_unique": {"column_list": ["height", "width", "nowhere"]}},
        {"expect_column_to_exist": {"column": "text"}},
        {BETWEEN: {"column": "pixel_mean", "min_value": 0, "mostly": 0.999}},
        {"expect_column_values_to_not_be_null": {"column": "label"}},
        {"expect_column_to_exist": {"column": "pixel_men"}},
    )
    return check(table(train, test), lines, NAMES, ENCODING, tmp_path_factory.mktemp("report") / "docs")


def recipes(report: ContractReport) -> list[ExpectationResult]:
    return [result for result in report.results if result.origin == "recipe"]


def built_in(report: ContractReport) -> list[ExpectationResult]:
    return [result for result in report.results if result.origin == "built in"]


def test_results_keep_the_recipes_order(broken: ContractReport) -> None:
    assert [order for order, result in enumerate(recipes(broken)) if result.success] == [0, 7, 13]
    assert not broken.success
    assert broken.num_samples_by_split == {"train": 90, "test": 20}
    assert broken.statistics["evaluated_expectations"] == len(broken.results) == 21


def test_a_value_out_of_range_is_counted_and_located(broken: ContractReport) -> None:
    result = recipes(broken)[2]
    assert (result.num_unexpected, round(result.percent_unexpected or 0, 2)) == (29, round(100 * 29 / 109, 2))
    assert [str(example) for example in result.examples[:2]] == ["2 at train[2]", "2 at train[8]"]
    assert result.message.startswith("29 of 109 samples (26.6 %) break it. 1 more is missing and was not")


def test_an_unknown_column_is_a_clear_failure(broken: ContractReport) -> None:
    result = recipes(broken)[3]
    assert result.message.startswith("column 'pixel_men' is not in the sample table. Did you mean 'pixel_mean'?")
    assert "same_content_in_train" not in result.message
    assert "column 'nowhere' is not in the sample table" in recipes(broken)[11].message
    assert "correct the column's name" in result.fix


def test_an_exception_inside_gx_is_a_failed_result(broken: ContractReport) -> None:
    result = recipes(broken)[4]
    assert result.message.startswith("Great Expectations could not evaluate it: ")
    assert "Traceback" not in failure_message(broken)


def test_an_unreadable_row_condition_is_a_failed_result(broken: ContractReport) -> None:
    assert recipes(broken)[8].message.startswith("Great Expectations refuses these arguments: ")


def test_aggregates_and_pairs_say_what_was_observed(broken: ContractReport) -> None:
    assert recipes(broken)[1].message == "Observed: 110."
    assert re.match(r"Observed: 1\d\d\.\d+ over 110 values\.", recipes(broken)[5].message)
    assert recipes(broken)[10].num_unexpected == 110
    assert isinstance(recipes(broken)[10].examples[0].value, list)


def test_built_in_missing_labels(broken: ContractReport) -> None:
    missing = built_in(broken)[0]
    assert (missing.num_unexpected, str(missing.examples[0])) == (1, "None at train[5]")


def test_built_in_leakage(broken: ContractReport) -> None:
    leak = built_in(broken)[1]
    assert leak.message == "2 of 20 samples are in train as well."
    assert [str(example) for example in leak.examples] == ["train[7] at test[2]", "train[50] at test[3]"]


def test_built_in_classes_of_every_split(broken: ContractReport) -> None:
    train, test = built_in(broken)[3:]
    assert (train.success, test.success) == (True, False)
    assert test.message == "Missing: <b>eel</b>."


def test_duplicates_inside_a_split_are_information(broken: ContractReport) -> None:
    (sentence,) = broken.information
    assert sentence.startswith("train: 1 of 90 samples repeat an earlier one")
    assert "train[7] and train[8]" in sentence


def test_the_report_is_json_and_the_message_names_it(broken: ContractReport) -> None:
    assert ContractReport.model_validate_json(json.dumps(broken.model_dump(mode="json"))) == broken
    with pytest.raises(ContractError) as caught:
        require(broken)
    assert str(broken.docs_path) in str(caught.value)
    assert "[warning]" in str(caught.value)


def test_data_docs_are_one_page_that_needs_no_network(broken: ContractReport) -> None:
    path = Path(str(broken.docs_path))
    page = path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    assert not re.findall(r"""(?:src|href)=["'](?!#)|url\(|@import""", page)
    assert "The data breaks its contract" in page
    assert "Every class has a sample in test." in page
    assert "<b>eel</b>" not in page


def test_a_kept_contract_leaves_nothing_behind(tmp_path: Path) -> None:
    """From a process of its own, with its own home and temporary folder."""
    code = """
import sys, pandas as pd
sys.path.insert(0, sys.argv[1])
from test_contracts_validation import ENCODING, NAMES, contract, samples, table
from thresher.contracts.validation import check
report = check(table(samples(1, 60), samples(2, 30)), contract(), NAMES, ENCODING, None)
assert report.success and report.docs_path is None, report
"""
    for name in ("work", "home", "temporary"):
        (tmp_path / name).mkdir()
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(Path(__file__).parent)],
        cwd=tmp_path / "work",
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Calculating Metrics" not in done.stderr
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == []
    assert list((tmp_path / "work").iterdir()) == []


def test_a_regression_has_no_classes() -> None:
    frame = table(samples(1, 10), samples(2, 5)).assign(label=np.linspace(0, 1, 15)).drop(columns="class_name")
    report = check(frame, contract(), (), ENCODING, None)
    assert report.success
    assert [result.expectation for result in report.results] == [
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_null",
        BETWEEN,
    ]
    infinite = check(frame.assign(label=np.r_[np.zeros(14), np.inf]), contract(), (), ENCODING, None)
    assert [(result.success, result.num_unexpected) for result in infinite.results] == [
        (True, 0),
        (True, 0),
        (False, 1),
    ]


def test_seventy_thousand_rows_take_seconds_even_when_every_one_is_wrong() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "split": np.repeat(["train", "test"], [60_000, 10_000]),
            "index": np.r_[np.arange(60_000), np.arange(10_000)],
            "label": pd.array(np.arange(70_000) % 3, dtype="Int64"),
            "class_name": np.array(NAMES)[np.arange(70_000) % 3],
            "pixel_mean": rng.random(70_000),
            "content_hash": [f"{number:064x}" for number in range(70_000)],
        }
    )
    lines = contract(*({BETWEEN: {"column": column, "min_value": 300}} for column in ("label", "pixel_mean", "index")))
    check(frame.head(10), contract(), (), ENCODING, None)  # the import is not what is timed
    start = time.perf_counter()
    report = check(frame, lines, NAMES, ENCODING, None)
    assert [result.num_unexpected for result in report.results[:3]] == [70_000, 70_000, 600]
    assert time.perf_counter() - start < 20  # 3 s on 2 idle cores


@pytest.mark.skipif(
    "THRESHER_TEST_DATA" not in os.environ, reason="THRESHER_TEST_DATA names no folder with fashion_mnist/ in it"
)
def test_fashion_mnist_keeps_its_contract(tmp_path: Path) -> None:
    from thresher.readers import IdxImages

    path = str(Path(os.environ["THRESHER_TEST_DATA"]) / "fashion_mnist")
    names = [str(number) for number in range(10)]
    train, test = (
        IdxImages(
            path=path, images=f"{part}-images-idx3-ubyte.gz", labels=f"{part}-labels-idx1-ubyte.gz", class_names=names
        )
        for part in ("train", "t10k")
    )
    lines = contract(
        {"expect_table_row_count_to_be_between": {"min_value": 50_000}},
        {BETWEEN: {"column": "label", "min_value": 0, "max_value": 9}},
        {BETWEEN: {"column": "pixel_mean", "min_value": 2, "max_value": 250, "mostly": 0.999}},
    )
    report = require(check(table(train.load(), test.load()), lines, tuple(names), ENCODING, tmp_path))
    assert report.information == []
    assert "The data keeps its contract" in (tmp_path / "index.html").read_text(encoding="utf-8")
