"""One expectation of a contract, as it is to be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

TRAIN = "train"
LEAK_COLUMN = "same_content_in_train"
"""The column of the checked table that names the equal sample of train, if there is one."""
FIX_DATA_OR_BOUND = "correct or remove these samples, or change the expectation in data.contract of the recipe."


@dataclass(frozen=True)
class Check:
    """One expectation to run: what the recipe says, and what Great Expectations is asked."""

    expectation: str
    arguments: dict[str, Any]
    origin: Literal["recipe", "built in"] = "recipe"
    fix: str = FIX_DATA_OR_BOUND
    asked: tuple[str, dict[str, Any]] | None = None
    """GX expectation and arguments, where they are not the recipe's own."""
    refused: str = ""
    """A sentence on why it can say nothing of this table, such as a column that is not there."""
    description: str = ""
    """What it demands, in a sentence."""
