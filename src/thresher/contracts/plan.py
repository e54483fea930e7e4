"""What a contract checks: the recipe's expectations, and those that no data set may break."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from thresher.contracts.expectation import Contract
from thresher.contracts.schemas import class_names as gx_class_names
from thresher.errors import nearest

if TYPE_CHECKING:
    import pandas as pd

TRAIN = "train"
LEAK_COLUMN = "same_content_in_train"
FIX_DATA_OR_BOUND = "mend or remove these samples, or change the expectation in data.contract of the recipe."


@dataclass(frozen=True)
class Check:
    """One expectation to run: what the recipe says, and what Great Expectations is asked."""

    expectation: str
    arguments: dict[str, Any]
    origin: Literal["recipe", "built in"] = "recipe"
    fix: str = FIX_DATA_OR_BOUND
    asked: tuple[str, dict[str, Any]] | None = None
    """GX expectation and arguments, where they are not the recipe's own."""
    unknown_column: str = ""
    """A sentence about a column that the table does not have."""
    gx_extra: dict[str, Any] = field(default_factory=dict)
    """Wording for the Data Docs."""


def plan_checks(table: pd.DataFrame, contract: Contract, class_names: tuple[str, ...]) -> list[Check]:
    """Return the checks of ``contract`` in its order, then the built-in ones.

    Args:
        table: the sample table with ``add_leak_column`` applied.
    """
    return [*(_from_recipe(table, line.name, line.arguments) for line in contract), *_built_in(table, class_names)]


def add_leak_column(sample_table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with ``same_content_in_train``: the equal training sample as "train[17]", or None."""
    table = sample_table.reset_index(drop=True)
    train = table[table["split"] == TRAIN].drop_duplicates("content_hash").set_index("content_hash")["index"]
    equal = table["content_hash"].map(train).mask(table["split"] == TRAIN)
    table[LEAK_COLUMN] = [None if index != index else f"{TRAIN}[{int(index)}]" for index in equal]  # NaN is not itself
    return table


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
    for column in _columns_named(name, arguments):
        if column not in table.columns:
            hint = nearest(column, set(table.columns) - {LEAK_COLUMN})
            sentence = f"column '{column}' is not in the sample table. {hint}"
            asked = ("expect_column_to_exist", {"column": column})
            wording = {"notes": f"**{name}** could not be checked: {sentence}"}
            return Check(
                name,
                arguments,
                fix="correct the column's name in data.contract of the recipe.",
                asked=asked,
                unknown_column=sentence,
                gx_extra=wording,
            )
    return Check(name, arguments)


def _columns_named(name: str, arguments: dict[str, Any]) -> list[str]:
    if name == "expect_column_to_exist" or name.startswith("expect_table_"):
        return []
    single = [arguments[key] for key in ("column", "column_A", "column_B") if key in arguments]
    return [*single, *arguments.get("column_list", [])]


def _built_in(table: pd.DataFrame, class_names: tuple[str, ...]) -> list[Check]:
    splits = list(dict.fromkeys(table["split"]))
    checks = [
        _own(
            "expect_column_values_to_not_be_null",
            {"column": "label"},
            "Every sample has a label.",
            "label these samples or remove them.",
        )
    ]
    checks += [
        _own(
            "expect_column_values_to_be_null",
            {"column": LEAK_COLUMN, "row_condition": f'col("split") == "{split}"'},
            f"No sample of {split} is in {TRAIN} as well; the value is the equal one in {TRAIN}.",
            f"remove these samples from {split} or from {TRAIN}: a model is not judged on what it was trained on.",
        )
        for split in splits
        if split != TRAIN
    ]
    if class_names:
        checks += [
            _own(
                "expect_column_distinct_values_to_contain_set",
                {"column": "class_name", "value_set": list(class_names), "row_condition": f'col("split") == "{split}"'},
                f"Every class has a sample in {split}.",
                f"add samples of these classes to {split}, or correct class_names in the catalog.",
            )
            for split in splits
        ]
    return checks


def _own(expectation: str, arguments: dict[str, Any], description: str, fix: str) -> Check:
    assert expectation in gx_class_names()
    return Check(expectation, arguments, "built in", fix, gx_extra={"description": description})
