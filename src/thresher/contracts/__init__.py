"""A recipe's contract: Great Expectations, by their own names, checked before anything is trained.

Importing this package costs pydantic alone; Great Expectations is imported inside the functions that run it.
"""

from thresher.contracts.expectation import Contract, ContractLines, Expectation
from thresher.contracts.report import ContractReport, Example, ExpectationResult, failure_message, require, summarize
from thresher.contracts.validation import check

__all__ = [
    "Contract",
    "ContractLines",
    "ContractReport",
    "Example",
    "Expectation",
    "ExpectationResult",
    "check",
    "failure_message",
    "require",
    "summarize",
]
