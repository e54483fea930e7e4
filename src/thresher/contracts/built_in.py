"""What no data may break: checked with every recipe, on top of its own expectations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from thresher.adapters.great_expectations import class_names as gx_class_names
from thresher.config import KindConfig
from thresher.contracts.check import LEAK_COLUMN, TRAIN, Check
from thresher.contracts.suspicion import own_columns
from thresher.modalities.description import BETWEEN, NOT_NULL, description_of

if TYPE_CHECKING:
    import pandas as pd

MAX_NAMED = 5
LARGEST_FLOAT = 1.7e308


def plan_built_in(
    table: pd.DataFrame, class_names: tuple[str, ...], encoding: KindConfig, leak_is_planned: bool
) -> list[Check]:
    """Return the checks of every task, then those of the modality that ``encoding`` names.

    Args:
        leak_is_planned: the recipe says itself how many samples of test may be in train.
    """
    splits = list(dict.fromkeys(table["split"]))
    leaks = [] if leak_is_planned else [_no_leak(split) for split in splits if split != TRAIN]
    labels = _classes(table, splits, class_names) if class_names else _numbers()
    return [_labelled(), *leaks, *labels, *_of_modality(table, splits, encoding)]


def _labelled() -> Check:
    return _own(NOT_NULL, {"column": "label"}, "Every sample has a label.", "label these samples or remove them.")


def _no_leak(split: str) -> Check:
    return _own(
        "expect_column_values_to_be_null",
        {"column": LEAK_COLUMN, **_only(split)},
        f"No sample of {split} is in {TRAIN} as well; the value is the equal one in {TRAIN}.",
        f"remove these samples from {split} or from {TRAIN}: no model may be judged on its training samples. If it is "
        "the published split, allow a share in data.contract: expect_column_values_to_be_null: "
        f'{{column: {LEAK_COLUMN}, mostly: 0.95, row_condition: \'col("split") == "{split}"\'}}.',
    )


def _classes(table: pd.DataFrame, splits: list[str], class_names: tuple[str, ...]) -> Iterable[Check]:
    yield _own(
        BETWEEN,
        {"column": "label", "min_value": 0, "max_value": len(class_names) - 1},
        "Every label is one of the classes.",
        "correct these labels, or complete class_names in the catalog.",
    )
    for split in splits:
        yield _own(
            "expect_column_distinct_values_to_contain_set",
            {"column": "class_name", "value_set": list(class_names), **_only(split)},
            f"Every class has a sample in {split}.",
            _fix_classes(table, split, class_names),
        )


def _fix_classes(table: pd.DataFrame, split: str, class_names: tuple[str, ...]) -> str:
    """Return what to do about the classes without a sample in ``split``."""
    contents = table.groupby("class_name")["content_hash"].nunique()
    here = set(table[table["split"] == split]["class_name"])
    lonely = [name for name in class_names if name not in here and contents.get(name) == 1]
    if not lonely:
        return (
            f"add samples of these classes to {split}, or correct class_names in the catalog; where Thresher divides "
            "one file by group or order, another test_share."
        )
    named = ", ".join(f"'{name}'" for name in lonely[:MAX_NAMED]) + (", ..." if len(lonely) > MAX_NAMED else "")
    return (
        f"of {named} the data holds one sample, or copies of one, and no split can both learn from it and be judged on "
        "it. Collect more samples of it, make it part of another class, or leave it out."
    )


def _numbers() -> Iterable[Check]:
    yield _own(
        BETWEEN,
        {"column": "label", "min_value": -LARGEST_FLOAT, "max_value": LARGEST_FLOAT},
        "Every label is a finite number.",
        "correct these labels, or remove the samples.",
    )


def _of_modality(table: pd.DataFrame, splits: list[str], encoding: KindConfig) -> Iterable[Check]:
    parts = {split: table[table["split"] == split] for split in splits}
    for rule in description_of(encoding).rules(parts, own_columns(table), encoding):
        only = _only(rule.split) if rule.split else {}
        yield _own(rule.expectation, {**rule.arguments, **only}, rule.description, rule.fix)


def _only(split: str) -> dict[str, str]:
    return {"row_condition": f'col("split") == "{split}"'}


def _own(expectation: str, arguments: dict[str, Any], description: str, fix: str) -> Check:
    assert expectation in gx_class_names()
    return Check(expectation, arguments, "built in", fix, description=description)
