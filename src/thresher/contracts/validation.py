"""Runs a contract on a sample table with Great Expectations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.adapters.great_expectations import build_expectation, gx_version, run_expectations
from thresher.contracts.check import Check
from thresher.contracts.data_docs import write_data_docs
from thresher.contracts.expectation import Contract
from thresher.contracts.looked_at import counting, key_of, read_count
from thresher.contracts.outcome import describe_outcome, unbuildable
from thresher.contracts.plan import add_leak_column, describe_duplicates, name_rows, plan_checks
from thresher.contracts.report import ContractReport, ExpectationResult
from thresher.contracts.suspicion import find_warnings

if TYPE_CHECKING:
    import pandas as pd

MAX_EXAMPLES = 10
# SUMMARY, not COMPLETE: the latter lists every unexpected sample, megabytes of it for a wrong bound on 70,000 rows.
RESULT_FORMAT = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": MAX_EXAMPLES,
    "return_unexpected_index_query": False,
}


def check(
    sample_table: pd.DataFrame,
    contract: Contract,
    class_names: tuple[str, ...],
    encoding: Any,
    docs_folder: Path | None,
    notes: Sequence[str] = (),
) -> ContractReport:
    """Return what the recipe's expectations and the built-in ones find in ``sample_table``.

    Built in: every sample has a label, of the classes (each of which is in every split) or finite; no sample of
    another split is in train, by content; and what the modality demands: texts with words, series with steps, rows
    with the categories of train.

    Args:
        sample_table: one row a sample of every split, with at least split, index, label, class_name, content_hash.
        class_names: empty for a regression.
        encoding: the modality's section `data.encoding`.
        docs_folder: where the Data Docs go, as one self-contained index.html; None writes nothing.
        notes: what the readers left out of the data; told with the report.
    """
    table = add_leak_column(sample_table)
    checks = plan_checks(table, contract, class_names, encoding)
    with warnings.catch_warnings():
        # GX warns of its own deprecated arguments, which a user of a recipe can do nothing about.
        warnings.simplefilter("ignore", DeprecationWarning)
        results = _validate(table, checks)
    report = _report(table, results, gx_version(), docs_folder)
    told = {"warnings": find_warnings(table, encoding), "information": [*notes, *report.information]}
    report = report.model_copy(update=told)
    if docs_folder is not None:
        write_data_docs(report, docs_folder)
    return report


def _validate(table: pd.DataFrame, checks: list[Check]) -> list[ExpectationResult]:
    """Return the results in the order of ``checks``."""
    counts = [counting(item) for item in checks]
    unique = {key_of(count): count for count in counts if count is not None}
    found, failures = _run(table, [*checks, *unique.values()])
    looked = {
        key: read_count(found[len(checks) + place]) for place, key in enumerate(unique) if len(checks) + place in found
    }
    return [
        failures[order]
        if order in failures
        else describe_outcome(item, found[order], looked.get(key_of(count)) if count else None, table)
        for order, (item, count) in enumerate(zip(checks, counts, strict=True))
    ]


def _run(table: pd.DataFrame, checks: list[Check]) -> tuple[dict[int, dict[str, Any]], dict[int, ExpectationResult]]:
    """Return GX's result of each of ``checks`` by its place, and the failures of those that GX refuses to build."""
    expectations, failures = [], {}
    for order, item in enumerate(checks):
        try:
            expectations.append(_build(item, order))
        except Exception as error:  # GX's own checks of arguments, some stricter than its published schemas
            failures[order] = unbuildable(item, error)
    return run_expectations(table.set_index(_places(table)), expectations, RESULT_FORMAT), failures


def _places(table: pd.DataFrame) -> pd.Index:
    """Return the name of each row: GX names unexpected rows by index, in seconds; by columns it takes minutes."""
    import pandas as pd

    return pd.Index(name_rows(table))


def _build(item: Check, order: int) -> Any:
    name, arguments = item.asked or (item.expectation, item.arguments)
    if isinstance(arguments.get("row_condition"), str):
        # GX's own grammar; the parser "pandas" would let a recipe run Python.
        arguments = {**arguments, "condition_parser": "great_expectations"}
    return build_expectation(name, arguments, order)


def _report(
    table: pd.DataFrame, results: list[ExpectationResult], gx_version: str, docs_folder: Path | None
) -> ContractReport:
    successful = sum(result.success for result in results)
    return ContractReport(
        success=all(result.success or result.severity != "critical" for result in results),
        num_samples=len(table),
        num_samples_by_split={
            str(split): int(count) for split, count in table["split"].value_counts(sort=False).items()
        },
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": successful,
            "unsuccessful_expectations": len(results) - successful,
            "success_percent": 100 * successful / len(results),
        },
        results=results,
        information=describe_duplicates(table),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        gx_version=gx_version,
        docs_path=str(docs_folder / "index.html") if docs_folder is not None else None,
    )
