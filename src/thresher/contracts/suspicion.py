"""What may be wrong with the data, though nothing forbids it: said with the contract, as warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.contracts.check import LEAK_COLUMN, TRAIN
from thresher.modalities.description import SAMPLE_COLUMNS, description_of

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 20
"""The fewest rows of train and of test that are searched: with fewer, a column may be unique or predict the label by
chance."""
MIN_ERRORS = 5
"""The fewest mistakes of the most frequent class on test: with fewer, a column may make none by chance."""
MAX_ERRORS = 0.02
"""The largest share of the most frequent class's mistakes that a column makes which predicts the label on its own."""
EXPLAINED = 0.9999
"""The share of a label's variance from which on a column counts as the label in other words."""
DENSE = 2
"""Whole numbers without a repetition that fill so large a part (1/2) of their span count rows."""
MAX_EXAMPLES = 3


def find_warnings(table: pd.DataFrame, encoding: Any) -> list[str]:
    """Return a sentence for each thing in ``table``, the sample table with `add_leak_column` applied."""
    warnings = [*_near_duplicates(table), *_labels_that_differ(table)]
    if description_of(encoding).SHOWS_DATA:
        names = own_columns(table)
        train = table[table["split"] == TRAIN]
        # A row of test that is a row of train tells its label by any column: that is said elsewhere.
        test = table[(table["split"] != TRAIN) & table[LEAK_COLUMN].isna()]
        for name in names if len(names) > 1 else ():
            columns = [column for column in (name, "label", "class_name") if column in table]
            warnings += _column(train[columns], test[columns], name)
    return warnings


def own_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of the sample table that are the data's own, where it shows any."""
    return [str(name) for name in table if name not in SAMPLE_COLUMNS and name != LEAK_COLUMN]


def _near_duplicates(table: pd.DataFrame) -> Iterable[str]:
    if "normal_hash" not in table:
        return
    train = table[table["split"] == TRAIN].drop_duplicates("normal_hash").set_index("normal_hash")
    for split, rows in table[table["split"] != TRAIN].groupby("split", sort=False):
        near = rows[rows[LEAK_COLUMN].isna() & rows["normal_hash"].isin(train.index)]
        if len(near):
            pairs = [
                f"{_name(row)} and {_name(train.loc[row['normal_hash']])}"
                for _, row in near.head(MAX_EXAMPLES).iterrows()
            ]
            yield (
                f"{len(near):,} of {len(rows):,} samples of {split} are nearly in {TRAIN}: they differ from a "
                f"sample of it in case, blanks, Unicode form or the writing of a number alone, such as "
                f"{'; '.join(pairs)}. Fix: remove them, or write texts in one form."
            )


def _labels_that_differ(table: pd.DataFrame) -> Iterable[str]:
    if "class_name" not in table:
        return
    labelled = table[table["label"].notna()]
    same = labelled.groupby("content_hash", sort=False)["label"].transform("nunique") > 1
    rows = labelled[same]
    if len(rows):
        first = rows[rows["content_hash"] == rows["content_hash"].iloc[0]].drop_duplicates("label").head(MAX_EXAMPLES)
        examples = ", ".join(f"{_name(row)} is '{row['class_name']}'" for _, row in first.iterrows())
        yield (
            f"{len(rows):,} of {len(table):,} samples have the content of one with another label: {examples}. "
            "No model can be right about all of them. Fix: correct the labels, or add what tells them apart."
        )


def _column(train: pd.DataFrame, test: pd.DataFrame, name: str) -> Iterable[str]:
    if len(train) < MIN_ROWS:
        return
    if train[name].nunique(dropna=False) == 1 and test[name].nunique(dropna=False) > 1:
        yield (
            f"Column '{name}' has one value in {TRAIN} and others in test: a model cannot learn from it, and it has no "
            f"part in any answer. Fix: 'drop: [{name}]' in the catalog, or a {TRAIN} split that has its other values."
        )
    counted = _counts_rows(train[name])
    if counted:
        yield (
            f"Column '{name}' {counted}: as an identifier it says nothing of new rows, or tells where a row stood "
            f"in the file. Fix: 'drop: [{name}]' in the catalog, if it is one."
        )
    told = _tells_label(train, test, name)
    if told:
        yield (
            f"Column '{name}' {told}. Is it known before the label is? "
            f"Fix: 'drop: [{name}]' in the catalog, if it is not."
        )


def _counts_rows(values: pd.Series) -> str:
    """Return how a column of train marks rows rather than describing them; "" where it does not."""
    if values.isna().any() or values.nunique() < len(values):
        return ""
    if values.dtype.kind not in "iuf":
        return f"has another value in each of the {len(values):,} rows of {TRAIN}"
    numbers = values.to_numpy(np.float64)
    if (numbers != np.floor(numbers)).any():
        return ""  # a measurement with decimals is unique by nature
    steps = np.diff(numbers)
    if (steps > 0).all() or (steps < 0).all():
        return f"only {'rises' if steps[0] > 0 else 'falls'} from row to row of {TRAIN}, in whole numbers"
    if np.ptp(numbers) < DENSE * len(numbers):
        return f"numbers the {len(values):,} rows of {TRAIN}: whole numbers, none of them twice, nearly without gaps"
    return ""


def _tells_label(train: pd.DataFrame, test: pd.DataFrame, name: str) -> str:
    """Return how the column alone tells the label of test, learned from train; "" where it does not."""
    train, test = (rows[rows["label"].notna()] for rows in (train, test))
    if len(test) < MIN_ROWS or train[name].nunique(dropna=False) < 2:
        return ""
    labels, right = (rows["label"].to_numpy(np.float64) for rows in (train, test))
    join = _most_frequent if "class_name" in train else _mean
    found = _nearest_label(train[name], labels, test[name], join)
    if join is _mean:
        variance = ((right - right.mean()) ** 2).sum()
        share = 1 - ((found - right) ** 2).sum() / variance if variance > 0 else 0.0
        return (
            f"predicts the label on its own: it explains {100 * share:.2f} % of its variance"
            if share >= EXPLAINED
            else ""
        )
    errors, errors_without = (
        int((answers != right).sum()) for answers in (found, np.full(len(right), _all(labels, join)))
    )
    if errors_without >= MIN_ERRORS and errors <= MAX_ERRORS * errors_without:
        return (
            f"predicts the label on its own, correctly for {len(right) - errors:,} of the {len(right):,} other samples"
        )
    return ""


Join = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
"""Gives each value of a column a label, from the number of the value and the label of each sample, and their count."""


def _mean(codes: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(codes, labels, count) / np.bincount(codes, minlength=count)


def _most_frequent(codes: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    classes = int(labels.max(initial=0)) + 1
    pairs, frequencies = np.unique(codes * classes + labels.astype(np.int64), return_counts=True)
    ordered = pairs[np.lexsort((frequencies, pairs // classes))]
    last_of_value = np.append(np.diff(ordered // classes) > 0, True)
    labels_of_values: np.ndarray = (ordered[last_of_value] % classes).astype(np.float64)
    return labels_of_values


def _all(labels: np.ndarray, join: Join) -> float:
    """Return the label of all samples together."""
    return float(join(np.zeros(len(labels), np.int64), labels, 1)[0])


def _nearest_label(known: pd.Series, labels: np.ndarray, asked: pd.Series, join: Join) -> np.ndarray:
    """Return for each value of ``asked`` the label of the same value of ``known``, or of the nearest number there.

    Between two numbers a label that is a mean goes in a straight line. Missing is a value like another.
    """
    import pandas as pd

    is_number = known.dtype.kind in "iuf"
    codes, values = pd.factorize(known, sort=is_number)
    there, fallback = codes >= 0, _all(labels, join)
    missing = fallback if there.all() else _all(labels[~there], join)
    if not len(values):
        return np.full(len(asked), missing)
    by_value = join(codes[there], labels[there], len(values))
    if not is_number:
        found = asked.map(pd.Series(by_value, index=values))
        return found.where(asked.notna(), missing).fillna(fallback).to_numpy(np.float64)
    at, numbers = np.asarray(values, np.float64), asked.to_numpy(np.float64)
    if join is _mean:
        near = np.interp(numbers, at, by_value)
    else:
        above = np.minimum(np.searchsorted(at, numbers), len(at) - 1)
        below = np.maximum(above - 1, 0)
        near = by_value[np.where(numbers - at[below] <= at[above] - numbers, below, above)]
    return np.where(np.isnan(numbers), missing, near)


def _name(row: pd.Series) -> str:
    place = f" ({row['place']})" if isinstance(row.get("place"), str) else ""
    return f"{row['split']}[{row['index']}]{place}"
