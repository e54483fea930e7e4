"""What `thresher.adapters.great_expectations` relies on in Great Expectations beyond its documentation."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
from helpers.contract import relied_on

from thresher.adapters.great_expectations import (
    build_expectation,
    class_names,
    in_memory_context,
    load_schema,
    run_expectations,
)

ADAPTER = "src/thresher/adapters/great_expectations.py"
NAME = "expect_column_values_to_be_between"


def test_the_schemas_of_all_expectations_lie_in_the_package_by_an_index() -> None:
    with relied_on("great-expectations", "expectations/core/schemas/index.json names each schema's file", ADAPTER):
        names = class_names()
        assert len(names) > 40 and names[NAME] == "ExpectColumnValuesToBeBetween"
        for name in names:
            assert "properties" in load_schema(name), name


def test_the_classes_have_the_names_of_their_schemas() -> None:
    import great_expectations.expectations as gx_expectations

    with relied_on("great-expectations", "an expectation's class is called as its schema's file", ADAPTER):
        for name, class_name in class_names().items():
            assert hasattr(gx_expectations, class_name), f"{name} has no class {class_name}"


@pytest.fixture(scope="module")
def results() -> dict[int, dict[str, Any]]:
    """The results of one expectation that fails, one under a condition, one that fails to compute, the first again."""
    table = pd.DataFrame({"label": [0, 1, 2, 9], "split": list("aabb")}, index=["w", "x", "y", "z"])
    bounds = {"column": "label", "min_value": 0, "max_value": 2}
    condition = {"row_condition": 'col("split") == "a"', "condition_parser": "great_expectations"}
    given = [bounds, {**bounds, **condition}, {**bounds, "column": "nowhere"}, bounds]
    expectations = [build_expectation(NAME, arguments, order) for order, arguments in enumerate(given)]
    return run_expectations(table, expectations, {"result_format": "SUMMARY", "partial_unexpected_count": 5})


def test_a_context_lives_in_memory_and_shows_no_progress() -> None:
    with relied_on("great-expectations", "DataContextConfig and its parts in data_context.types.base", ADAPTER):
        assert type(in_memory_context()).__name__ == "EphemeralDataContext"


def test_a_suite_keeps_what_is_put_into_it_twice_and_a_result_names_its_order(
    results: dict[int, dict[str, Any]],
) -> None:
    with relied_on("great-expectations", "ExpectationSuite.expectations is a list, meta comes back", ADAPTER):
        assert {order: result["success"] for order, result in results.items()} == {
            0: False,
            1: True,
            2: False,
            3: False,
        }


def test_a_result_has_the_counts_and_examples_that_sentences_are_made_of(results: dict[int, dict[str, Any]]) -> None:
    with relied_on("great-expectations", "the keys of a result in the format SUMMARY", "contracts/outcome.py"):
        found = results[0]["result"]
        assert (found["element_count"], found["unexpected_count"], found["missing_count"]) == (4, 1, 0)
        assert found["unexpected_percent"] == 25.0
        assert found["partial_unexpected_list"] == [9]
        assert results[1]["result"]["element_count"] == 2, "row_condition selects the rows that are looked at"


def test_what_cannot_be_computed_has_its_exception(results: dict[int, dict[str, Any]]) -> None:
    with relied_on("great-expectations", "exception_info has the message of what was raised", "contracts/outcome.py"):
        assert re.search("nowhere", str(results[2]["exception_info"]))
