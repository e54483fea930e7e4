"""What a contract can say of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.description import IN_SET, NOT_NULL, TRAIN, Description, Rule, name_in_sample_table
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.encoder import TabularEncoding
from thresher.modalities.tabular.table import Table, is_missing

if TYPE_CHECKING:
    import pandas as pd
MANY_CATEGORIES, FEW_TIMES = 50, 0.25
"""With more categories than this, and less than four rows each, a column is not learned from."""
MAX_UNSEEN = 0.1
"""Where more of the values of a split are unseen categories, its answers are guesses, whatever these are encoded as."""


class TabularDescription(Description):
    """What the sample table shows of a row, and what must hold of it."""

    COLUMNS = ("num_missing",)
    SHOWS_DATA = True

    def describe(self, samples: Samples[Table], encoding: TabularEncoding) -> pd.DataFrame:
        """Return one row a sample: the table's own columns, and num_missing.

        A column that is called like one of every sample table, such as label, is `column_label`.
        """
        import pandas as pd

        columns = {name_in_sample_table(name): values for name, values in samples.inputs.columns.items()}
        num_missing = np.sum([is_missing(values) for values in columns.values()], axis=0, dtype=np.int64)
        return pd.DataFrame({**columns, "num_missing": num_missing}, index=range(len(samples)))

    def rules(self, splits: dict[str, pd.DataFrame], columns: list[str], encoding: TabularEncoding) -> Iterable[Rule]:
        """Compare the other splits with the whole of train: what it never holds cannot be learned."""
        train = splits[TRAIN]
        for split in (split for split in splits if split != TRAIN):
            for column in columns:
                number = train[column].dtype.kind == "f"
                if not train[column].isna().any() and (number or encoding.unseen_categories == "refuse"):
                    yield Rule(
                        NOT_NULL,
                        {"column": column},
                        f"{column} is never missing in {split}, as in {TRAIN}.",
                        f"fill in these values, or train with rows that lack {column} too.",
                        split=split,
                    )
                if not number and encoding.unseen_categories == "refuse":
                    seen = sorted(map(str, train[column].dropna().unique()))
                    given = splits[split][column].dropna().astype(str)
                    yield Rule(
                        IN_SET,
                        {"column": column, "value_set": seen},
                        f"{column} in {split} is a category that {TRAIN} has.",
                        _fix_unseen(column, train[column].dropna(), float((~given.isin(seen)).mean())),
                        split=split,
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
