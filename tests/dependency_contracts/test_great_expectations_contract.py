"""What `thresher.contracts` relies on in Great Expectations beyond its documentation."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from helpers.contract import relied_on

from thresher.contracts import schemas
from thresher.contracts.validation import _context

VALIDATION = "src/thresher/contracts/validation.py"
SCHEMAS = "src/thresher/contracts/schemas.py"


def test_the_schemas_of_all_expectations_lie_in_the_package_by_an_index() -> None:
    with relied_on("great-expectations", "expectations/core/schemas/index.json names each schema's file", SCHEMAS):
        names = schemas.class_names()
        assert len(names) > 40 and names["expect_column_values_to_be_between"] == "ExpectColumnValuesToBeBetween"
        for name in names:
            assert "properties" in schemas.load_schema(name), name


def test_the_classes_have_the_names_of_their_schemas() -> None:
    import great_expectations.expectations as gx_expectations

    with relied_on("great-expectations", "an expectation's class is called as its schema's file", VALIDATION):
        for name, class_name in schemas.class_names().items():
            assert hasattr(gx_expectations, class_name), f"{name} has no class {class_name}"


@pytest.fixture(scope="module")
def results() -> list[dict]:
    """The results of one expectation that fails, one under a condition and one that cannot be computed."""
    import great_expectations as gx
    import great_expectations.expectations as gx_expectations

    table = pd.DataFrame({"label": [0, 1, 2, 9], "split": list("aabb")}, index=["w", "x", "y", "z"])
    context = _context()
    batch = context.data_sources.add_pandas("s").add_dataframe_asset("t").add_batch_definition_whole_dataframe("b")
    suite = gx.ExpectationSuite(name="contract")
    bounds = {"column": "label", "min_value": 0, "max_value": 2}
    condition = {"row_condition": 'col("split") == "a"', "condition_parser": "great_expectations"}
    given = [bounds, {**bounds, **condition}, {**bounds, "column": "nowhere"}]
    for order, arguments in enumerate(given):
        expectation = gx_expectations.ExpectColumnValuesToBeBetween(**arguments, meta={"order": order})
        suite.expectations.append(expectation)
    context.suites.add(suite)
    definition = gx.ValidationDefinition(name="contract", data=batch, suite=suite)
    found = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": table},
        result_format={"result_format": "SUMMARY", "partial_unexpected_count": 5},
    )
    assert {result.expectation_config.meta["order"] for result in found.results} == {0, 1, 2}
    return [
        result.to_json_dict()
        for result in sorted(found.results, key=lambda each: each.expectation_config.meta["order"])
    ]


def test_a_context_lives_in_memory_and_shows_no_progress() -> None:
    with relied_on("great-expectations", "DataContextConfig and its parts in data_context.types.base", VALIDATION):
        assert type(_context()).__name__ == "EphemeralDataContext"


def test_a_suite_keeps_what_is_appended_and_a_result_names_its_order(results: list[dict]) -> None:
    with relied_on("great-expectations", "ExpectationSuite.expectations is a list, meta comes back", VALIDATION):
        assert [result["success"] for result in results] == [False, True, False]


def test_a_result_has_the_counts_and_examples_that_sentences_are_made_of(results: list[dict]) -> None:
    with relied_on("great-expectations", "the keys of a result in the format SUMMARY", "contracts/outcome.py"):
        found = results[0]["result"]
        assert (found["element_count"], found["unexpected_count"], found["missing_count"]) == (4, 1, 0)
        assert found["unexpected_percent"] == 25.0
        assert found["partial_unexpected_list"] == [9]
        assert results[1]["result"]["element_count"] == 2, "row_condition selects the rows that are looked at"


def test_what_cannot_be_computed_has_its_exception(results: list[dict]) -> None:
    with relied_on("great-expectations", "exception_info has the message of what was raised", "contracts/outcome.py"):
        assert re.search("nowhere", str(results[2]["exception_info"]))
