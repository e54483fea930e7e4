"""What a contract checks: the recipe's expectations, and those that no data set may break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thresher.contracts.built_in import plan_built_in
from thresher.contracts.check import LEAK_COLUMN, TRAIN, Check
from thresher.contracts.expectation import Contract
from thresher.contracts.refusal import find_refusal

if TYPE_CHECKING:
    import pandas as pd


def plan_checks(table: pd.DataFrame, contract: Contract, class_names: tuple[str, ...], encoding: Any) -> list[Check]:
    """Return the checks of ``contract`` in its order, then the built-in ones.

    A line about the column ``same_content_in_train`` replaces the built-in check of it: some published test sets do
    repeat a few samples of their training sets.

    Args:
        table: the sample table with ``add_leak_column`` applied.
    """
    leak_is_planned = any(line.arguments.get("column") == LEAK_COLUMN for line in contract)
    return [
        *(_from_recipe(table, line.name, line.arguments) for line in contract),
        *plan_built_in(table, class_names, encoding, leak_is_planned),
    ]


def add_leak_column(sample_table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with ``same_content_in_train``: the equal training sample as "train[17] FILE:18", or None."""
    table = sample_table.reset_index(drop=True)
    train = table[table["split"] == TRAIN].drop_duplicates("content_hash")
    names = dict(zip(train["content_hash"], name_rows(train), strict=True))
    equal = table["content_hash"].map(names)
    table[LEAK_COLUMN] = equal.astype(object).where(equal.notna() & (table["split"] != TRAIN), None)
    return table


def name_rows(table: pd.DataFrame) -> list[str]:
    """Return "train[17]" for each row, or "train[17] FILE:18" where the table says the place."""
    names = [f"{split}[{index}]" for split, index in zip(table["split"], table["index"], strict=True)]
    if "place" not in table:
        return names
    places = table["place"].where(table["place"].notna(), "")
    return [f"{name} {place}".rstrip() for name, place in zip(names, places, strict=True)]


def describe_duplicates(table: pd.DataFrame) -> list[str]:
    """Return a sentence for each split that holds samples of the same content."""
    sentences = []
    for split, rows in table.groupby("split", sort=False):
        repeated = rows[rows["content_hash"].duplicated(keep="first")]
        if len(repeated):
            first = rows[rows["content_hash"] == repeated["content_hash"].iloc[0]]["index"].tolist()
            sentences.append(
                f"{split}: {len(repeated):,} of {len(rows):,} samples repeat an earlier one of the same split, "
                f"for example {split}[{first[0]}] and {split}[{first[1]}]."
            )
    return sentences


def _from_recipe(table: pd.DataFrame, name: str, arguments: dict[str, Any]) -> Check:
    refused, fix = find_refusal(table, name, arguments)
    if not refused:
        return Check(name, arguments)
    # Something that runs stands in its place, so that all results have one order.
    return Check(
        name, arguments, fix=fix, asked=("expect_table_row_count_to_be_between", {"min_value": 0}), refused=refused
    )
