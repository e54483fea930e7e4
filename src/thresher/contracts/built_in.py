"""What no data may break: checked with every recipe, on top of its own expectations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from thresher.contracts.check import LEAK_COLUMN, TRAIN, Check
from thresher.contracts.schemas import class_names as gx_class_names
from thresher.contracts.suspicion import is_own
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.series.encoder import SeriesEncoding
from thresher.modalities.tabular.encoder import TabularEncoding
from thresher.modalities.text.encoder import TextEncoding

if TYPE_CHECKING:
    import pandas as pd

BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"
NOT_NULL = "expect_column_values_to_not_be_null"
MAX_NAMED = 5
LARGEST_FLOAT = 1.7e308


def plan_built_in(
    table: pd.DataFrame, class_names: tuple[str, ...], encoding: Any, leak_is_planned: bool
) -> list[Check]:
    """Return the checks of every task, then those of the modality that ``encoding`` names.

    Args:
        leak_is_planned: the recipe says itself how many samples of test may be in train.
    """
    splits = list(dict.fromkeys(table["split"]))
    leaks = [] if leak_is_planned else [_no_leak(split) for split in splits if split != TRAIN]
    labels = _classes(table, splits, class_names) if class_names else _numbers()
    return [_labelled(), *leaks, *labels, *BUILT_IN[type(encoding)](table, encoding)]


def _labelled() -> Check:
    return _own(NOT_NULL, {"column": "label"}, "Every sample has a label.", "label these samples or remove them.")


def _no_leak(split: str) -> Check:
    return _own(
        "expect_column_values_to_be_null",
        {"column": LEAK_COLUMN, **_only(split)},
        f"No sample of {split} is in {TRAIN} as well; the value is the equal one in {TRAIN}.",
        f"remove these samples from {split} or from {TRAIN}: a model is not judged on what it was trained on. If it is "
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


def _of_images(table: pd.DataFrame, encoding: ImageEncoding) -> Iterable[Check]:
    return []


def _of_texts(table: pd.DataFrame, encoding: TextEncoding) -> Iterable[Check]:
    yield _own(
        BETWEEN, {"column": "num_words", "min_value": 1}, "Every text has a word.", "write these texts or remove them."
    )


def _of_series(table: pd.DataFrame, encoding: SeriesEncoding) -> Iterable[Check]:
    yield _own(BETWEEN, {"column": "length", "min_value": 1}, "Every series has a step.", "remove these series.")
    if encoding.max_length is not None:
        yield _own(
            BETWEEN,
            {"column": "length", "max_value": encoding.max_length},
            "No series is longer than data.encoding.max_length.",
            "raise data.encoding.max_length, or shorten these series.",
        )
    if encoding.missing == "refuse":
        yield _own(
            BETWEEN,
            {"column": "num_missing", "max_value": 0},
            "No series lacks a value, as data.encoding.missing says.",
            "fill in these values, or say 'missing: interpolate' in data.encoding.",
        )


def _of_rows(table: pd.DataFrame, encoding: TabularEncoding) -> Iterable[Check]:
    """Compare the other splits with the whole of train: what it never holds cannot be learned."""
    train, columns = table[table["split"] == TRAIN], [name for name in table if is_own(str(name))]
    for split in (split for split in dict.fromkeys(table["split"]) if split != TRAIN):
        for column in columns:
            number = table[column].dtype.kind == "f"
            if not train[column].isna().any() and (number or encoding.unseen_categories == "refuse"):
                yield _own(
                    NOT_NULL,
                    {"column": column, **_only(split)},
                    f"{column} is never missing in {split}, as in {TRAIN}.",
                    f"fill in these values, or train with rows that lack {column} too.",
                )
            if not number and encoding.unseen_categories == "refuse":
                seen = sorted(map(str, train[column].dropna().unique()))
                given = table[column][table["split"] == split].dropna().astype(str)
                yield _own(
                    IN_SET,
                    {"column": column, "value_set": seen, **_only(split)},
                    f"{column} in {split} is a category that {TRAIN} has.",
                    _fix_unseen(str(column), train[column].dropna(), float((~given.isin(seen)).mean())),
                )


def _fix_unseen(column: str, given: pd.Series[str], share_unseen: float) -> str:
    """Return what to do about categories that train never holds; to take names of rows as unknown is no cure.

    Args:
        given: the column's values in train.
        share_unseen: of the values of the other split.
    """
    different = given.nunique()
    if different > MANY_CATEGORIES and different > FEW_TIMES * len(given):
        told = (
            f"{column} has {different:,} categories in {len(given):,} rows of {TRAIN}, too few rows each to learn from"
        )
        return f"{told}: 'drop: [{column}]' in the catalog, or bring it to fewer categories."
    if share_unseen > MAX_UNSEEN:
        told = f"{share_unseen:.0%} of its values are categories that {TRAIN} never has: nothing is known of them"
        return f"{told}. Add such rows to {TRAIN}, or 'drop: [{column}]' in the catalog."
    return (
        f"correct these values, add such rows to {TRAIN}, or, where new categories are to be expected, say "
        "'unseen_categories: other' in data.encoding."
    )


MANY_CATEGORIES, FEW_TIMES = 50, 0.25
"""With more categories than this, and less than four rows each, a column is not learned from."""
MAX_UNSEEN = 0.1
"""Where more of the values of a split are unseen categories, its answers are guesses, whatever these are encoded as."""
BUILT_IN: dict[type, Callable[[Any, Any], Iterable[Check]]] = {
    ImageEncoding: _of_images,
    TextEncoding: _of_texts,
    TabularEncoding: _of_rows,
    SeriesEncoding: _of_series,
}
"""Config type of the modality -> function from the sample table and that config to its checks."""


def _only(split: str) -> dict[str, str]:
    return {"row_condition": f'col("split") == "{split}"'}


def _own(expectation: str, arguments: dict[str, Any], description: str, fix: str) -> Check:
    assert expectation in gx_class_names()
    return Check(expectation, arguments, "built in", fix, description=description)
