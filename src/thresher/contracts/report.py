"""The outcome of a contract: what is stored, logged, and said in the terminal."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from thresher.config import Config
from thresher.errors import ContractError


class Example(Config):
    """One sample that breaks an expectation."""

    value: Any
    """What was found; a mapping of column to value where an expectation reads several columns."""
    split: str | None = None
    index: int | None = None
    """The sample's place in its split, from 0."""
    place: str | None = None
    """The sample's place in its file, such as `adult.data:18`, where it is known."""

    def __str__(self) -> str:
        value = f"{self.value:.6g}" if isinstance(self.value, float) else str(self.value)
        place = f" ({self.place})" if self.place else ""
        return f"{value} at {self.split}[{self.index}]{place}" if self.split is not None else value


class ExpectationResult(Config):
    """What one expectation found."""

    expectation: str
    """The name of the expectation in Great Expectations."""
    origin: Literal["recipe", "built in"] = "recipe"
    column: str | None = None
    arguments: dict[str, Any]
    severity: Literal["critical", "warning", "info"] = "critical"
    """Only a critical expectation stops the run."""
    success: bool
    description: str = ""
    """What is demanded, in a sentence, where it is built in."""
    num_values: int | None = None
    """How many values were looked at; a contract line of a recipe that looks at none fails."""
    num_missing: int | None = None
    """How many more were missing, and so not looked at."""
    observed: Any = None
    """What a table or column as a whole showed, such as a count or a mean."""
    num_unexpected: int | None = None
    percent_unexpected: float | None = None
    """The percentage of samples that break it, among those that it checked and that have a value."""
    examples: list[Example] = Field(default_factory=list)
    """The first samples that break the expectation."""
    message: str
    """The outcome in one sentence."""
    fix: str = ""

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}: {_shortened(value)}" for key, value in self.arguments.items())
        return f"{self.expectation}: {{{arguments}}}" + (" (built in)" if self.origin == "built in" else "")


class ContractReport(Config):
    """Everything that a contract found; JSON by ``model_dump(mode="json")``."""

    success: bool
    """True when no critical expectation failed."""
    num_samples: int
    num_samples_by_split: dict[str, int]
    statistics: dict[str, float]
    """Great Expectations' own counts: evaluated, successful and unsuccessful expectations, success percent."""
    results: list[ExpectationResult]
    warnings: list[str] = Field(default_factory=list)
    """What may be wrong, but stops nothing: near duplicates, labels that differ, columns that tell the label."""
    information: list[str] = Field(default_factory=list)
    """Worth knowing, but no failure: duplicates inside one split."""
    created_at: str
    """ISO 8601, UTC."""
    gx_version: str
    docs_path: str | None = None
    """The Data Docs page, where one was written."""
    test_set: str = ""
    """The further test set that stands in the place of test; empty where none does."""

    @property
    def failed(self) -> list[ExpectationResult]:
        """The expectations that did not hold, of whatever severity."""
        return [result for result in self.results if not result.success]


def failure_message(report: ContractReport) -> str:
    """Return what the terminal shows of a contract: each failed expectation, its count, examples and the fix."""
    splits = ", ".join(f"{split} {count:,}" for split, count in report.num_samples_by_split.items())
    counted = f"{len(report.failed)} of {len(report.results)} expectations failed"
    data = f"With data.tests.{report.test_set} as test, the data" if report.test_set else "The data"
    verdict = f"{data} keeps its contract" if report.success else f"{data} breaks its contract"
    lines = [f"{verdict}: {counted} on {report.num_samples:,} samples ({splits})."]
    for result in report.failed:
        warning = "" if result.severity == "critical" else f"[{result.severity}] "
        lines += ["", f"  {warning}{result}", f"    {result.message}"]
        if result.examples:
            lines.append("    For example " + ", ".join(str(example) for example in result.examples[:5]) + ".")
        if result.fix:
            lines.append(f"    Fix: {result.fix}")
    if report.warnings:
        lines += ["", *(f"  Warning: {sentence}" for sentence in report.warnings)]
    if report.information:
        lines += ["", *(f"  For information: {sentence}" for sentence in report.information)]
    if report.docs_path:
        lines += ["", f"Full report: {report.docs_path}"]
    return "\n".join(lines)


def summarize(report: ContractReport) -> list[str]:
    """Return what is worth a look though the contract holds, a sentence each."""
    partly = [
        result for result in report.results if result.origin == "recipe" and result.success and result.num_missing
    ]
    broken = [f"Contract, {result.severity}: {result}: {result.message}" for result in report.failed]
    looked = [f"Contract: {result}: {result.message}" for result in partly]
    return [*broken, *looked, *(f"Contract, warning: {sentence}" for sentence in report.warnings), *report.information]


def require(report: ContractReport) -> ContractReport:
    """Return ``report`` if the contract is kept.

    Raises:
        ContractError: a critical expectation failed; its text is ``failure_message(report)``.
    """
    if not report.success:
        raise ContractError(failure_message(report))
    return report


def _shortened(value: Any) -> str:
    """Return ``value`` as text; a thousand class names would hide the sentence that matters."""
    if isinstance(value, list) and len(value) > 5:
        return f"[{', '.join(str(part) for part in value[:3])}, ... {len(value)} values]"
    return str(value)
