"""Contracts as a recipe writes them: checked without Great Expectations, and fast."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from thresher.adapters.great_expectations import class_names
from thresher.contracts.expectation import Contract, Expectation
from thresher.contracts.report import ContractReport, ExpectationResult, failure_message, require
from thresher.errors import ContractError

BETWEEN = "expect_column_values_to_be_between"


class DataConfig(BaseModel):
    contract: Contract = []


def error_of(line: object) -> str:
    with pytest.raises(ValidationError) as caught:
        DataConfig.model_validate({"contract": [line]})
    problems = caught.value.errors()
    assert [problem["loc"] for problem in problems] == [("contract", 0)]
    assert problems[0]["type"] == "value_error"
    return problems[0]["msg"]


def test_a_recipes_contract_round_trips() -> None:
    text = f"""
    - expect_table_row_count_to_be_between: {{min_value: 50000}}
    - {BETWEEN}: {{column: label, min_value: 0, max_value: 9, mostly: 0.999, strict_min: true}}
    - {BETWEEN}: {{column: day, min_value: 2026-01-31, max_value: null}}
    - expect_column_values_to_be_in_set: {{column: dtype, value_set: [uint8, 1, true], row_condition: 'col("a") > 1'}}
    - expect_column_quantile_values_to_be_between:
        {{column: a, quantile_ranges: {{quantiles: [0.5], value_ranges: [[1, null]]}}}}
    - expect_table_columns_to_match_set:
    """
    config = DataConfig.model_validate({"contract": yaml.safe_load(text)})
    assert [line.name for line in config.contract][:2] == ["expect_table_row_count_to_be_between", BETWEEN]
    assert config.contract[1].arguments["mostly"] == 0.999
    assert config.contract[2].arguments == {"column": "day", "min_value": "2026-01-31"}
    dumped = config.model_dump(mode="json", by_alias=True)
    assert dumped["contract"][0] == {"expect_table_row_count_to_be_between": {"min_value": 50000}}
    assert DataConfig.model_validate(json.loads(json.dumps(dumped))) == config


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"expect_column_value_to_be_between": {}}, f"Did you mean '{BETWEEN}'?"),
        ({"no_such_thing_at_all": {}}, "unknown expectation 'no_such_thing_at_all'. Allowed: "),
        ({"unexpected_rows_expectation": {"unexpected_rows_query": "x"}}, "run on pandas"),
        (BETWEEN, "expected one expectation with its arguments"),
        ({BETWEEN: {"column": "a"}, "expect_column_to_exist": {"column": "a"}}, "expected one expectation"),
        ({BETWEEN: ["label"]}, "expected arguments as a mapping"),
        ({3: {}}, "unknown expectation '3'"),
        ({BETWEEN: {"colum": "label", "min_value": 0}}, "unknown argument 'colum'. Did you mean 'column'? Allowed: "),
        ({BETWEEN: {"colum": "label", "min_value": 0}}, "argument 'column' is missing"),
        ({BETWEEN: {"column": "label"}}, "give min_value, max_value or both"),
        ({BETWEEN: {"column": "label", "min_value": 3, "max_value": 2}}, "min_value 3 is above max_value 2"),
        ({BETWEEN: {"column": "a", "min_value": "five"}}, "min_value: expected a number or a date, got 'five'"),
        ({BETWEEN: {"column": "a", "min_value": True}}, "expected a number or a date, got True"),
        ({BETWEEN: {"column": "a", "min_value": 0, "mostly": 99.9}}, "mostly: expected a number from 0 to 1, got 99.9"),
        ({BETWEEN: {"column": "a", "min_value": 0, "mostly": 0}}, "mostly: 0 lets every value break it"),
        (
            {"expect_column_values_to_match_regex": {"column": "a", "regex": "("}},
            "regex: not a regular expression (missing ), unterminated subpattern at position 0)",
        ),
        ({BETWEEN: {"column": "", "min_value": 0}}, "column: expected text that is not empty, got ''"),
        ({BETWEEN: {"column": "a", "min_value": 0, "severity": "high"}}, "expected one of critical, warning, info"),
        ({BETWEEN: {"column": "a", "min_value": 0, "result_format": "COMPLETE"}}, "unknown argument 'result_format'"),
        ({"expect_table_row_count_to_equal": {"value": 1.5}}, "value: expected a whole number, got 1.5"),
        ({"expect_column_values_to_be_in_set": {"column": "a", "value_set": []}}, "a list that is not empty, got []"),
        ({"expect_column_values_to_be_in_set": {"column": "a", "value_set": "abc"}}, "expected a list"),
        (
            {"expect_column_quantile_values_to_be_between": {"column": "a", "quantile_ranges": {"quantiles": [1]}}},
            "a mapping with quantiles, value_ranges",
        ),
    ],
)
def test_a_wrong_line_says_what_is_allowed(line: object, says: str) -> None:
    assert says in error_of(line)


@pytest.mark.parametrize(
    "condition",
    [
        {"type": "pass_through", "pass_through_filter": "@pd.io"},
        {"type": "and", "conditions": [{"pass_through_filter": "@pd.io"}]},
    ],
)
def test_a_row_condition_cannot_carry_python(condition: object) -> None:
    assert "not a pass_through_filter" in error_of(
        {BETWEEN: {"column": "a", "min_value": 0, "row_condition": condition}}
    )
    parser = {"column": "a", "min_value": 0, "row_condition": "@pd.io", "condition_parser": "pandas"}
    assert "unknown argument 'condition_parser'" in error_of({BETWEEN: parser})


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.just(datetime.date.max)
anything = st.recursive(scalars, lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(), part, max_size=3))


@given(
    name=st.sampled_from(sorted(class_names())),
    keys=st.sets(
        st.sampled_from(["column", "min_value", "max_value", "mostly", "value_set", "row_condition", "value"])
    ),
    data=st.data(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a machine that others use
def test_whatever_a_recipe_says_is_accepted_or_explained(name: str, keys: set[str], data: st.DataObject) -> None:
    line = {name: {key: data.draw(anything) for key in keys}}
    try:
        expectation = Expectation.model_validate(line)
    except ValidationError as error:
        assert [problem["type"] for problem in error.errors()] == ["value_error"]
        assert name in str(error)
    else:
        assert expectation.name == name


def test_every_expectations_schema_is_read_and_described_to_editors() -> None:
    schema = TypeAdapter(Contract).json_schema()
    line = schema["items"] if "$ref" not in schema["items"] else schema["$defs"]["Expectation"]
    assert len(line["properties"]) > 40
    assert line["properties"][BETWEEN]["required"] == ["column"]
    assert "mostly" in line["properties"][BETWEEN]["properties"]


def test_reading_a_contract_imports_no_great_expectations_and_is_quick() -> None:
    code = (
        "import sys, time; from thresher.contracts.expectation import Expectation; start = time.perf_counter();"
        f"Expectation.model_validate({{'{BETWEEN}': {{'column': 'label', 'min_value': 0}}}});"
        "print(time.perf_counter() - start, sorted({'great_expectations', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    took, imported = subprocess.check_output([sys.executable, "-c", code], text=True).split(maxsplit=1)
    assert imported.strip() == "[]"
    assert float(took) < 0.5  # 5 ms on an idle machine


def test_a_long_contract_is_read_in_no_time() -> None:
    lines = [{BETWEEN: {"column": f"c{number}", "min_value": number}} for number in range(500)]
    start = time.perf_counter()
    TypeAdapter(Contract).validate_python(lines)
    assert time.perf_counter() - start < 2


def result(**changes: object) -> ExpectationResult:
    given = {"expectation": BETWEEN, "arguments": {"column": "a"}, "success": False, "message": "3 break it."}
    return ExpectationResult.model_validate(given | changes)


def report(*results: ExpectationResult) -> ContractReport:
    return ContractReport(
        success=all(one.success or one.severity != "critical" for one in results),
        num_samples=1_000,
        num_samples_by_split={"train": 1_000},
        statistics={},
        results=list(results),
        created_at="2026-11-22T00:00:00+00:00",
        gx_version="1.24.1",
    )


def test_require_raises_the_whole_message() -> None:
    broken = report(result(fix="mend it."), result(success=True))
    with pytest.raises(ContractError) as caught:
        require(broken)
    assert str(caught.value) == failure_message(broken)
    assert "1 of 2 expectations failed on 1,000 samples" in str(caught.value)
    assert "Fix: mend it." in str(caught.value)


def test_a_warning_is_told_but_stops_nothing() -> None:
    warned = report(result(severity="warning"), result(success=True))
    assert require(warned) is warned
    assert "[warning] " in failure_message(warned)
