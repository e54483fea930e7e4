"""What a contract can say of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.samples import Samples
from thresher.modalities.tabular.encoder import TabularEncoding
from thresher.modalities.tabular.table import Table, is_missing

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_COLUMNS = frozenset(
    {"split", "index", "place", "label", "class_name", "content_hash", "normal_hash", "num_missing"}
)
"""What the sample table says of every sample: a column of this name is found under `column_` and its name."""


def describe(samples: Samples, encoding: TabularEncoding) -> pd.DataFrame:
    """Return one row a sample: the table's own columns, and num_missing.

    A column that is called like one of every sample table (such as label or index) is `column_label`, `column_index`.
    """
    import pandas as pd

    table = samples.inputs
    assert isinstance(table, Table)
    columns = {name_in_sample_table(name): values for name, values in table.columns.items()}
    num_missing = np.sum([is_missing(values) for values in columns.values()], axis=0, dtype=np.int64)
    return pd.DataFrame({**columns, "num_missing": num_missing}, index=range(len(samples)))


def name_in_sample_table(column: str) -> str:
    """Return the name under which the sample table shows ``column`` of the data."""
    return f"column_{column}" if column in SAMPLE_COLUMNS else column
