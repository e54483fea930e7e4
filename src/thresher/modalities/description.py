"""The sample table: one row a sample, what a contract can speak about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thresher.config import KindConfig
from thresher.modalities import modality_of
from thresher.modalities.samples import Samples, hash_each, hash_each_normalized

if TYPE_CHECKING:
    import pandas as pd

TRAIN = "train"
BETWEEN, NOT_NULL = "expect_column_values_to_be_between", "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
SAMPLE_COLUMNS = frozenset(
    {"split", "index", "place", "label", "class_name", "content_hash", "normal_hash", "num_missing"}
)
"""What the sample table says of every sample: a column of this name is found under `column_` and its name."""


@dataclass(frozen=True)
class Rule:
    """What no data of a modality may break: an expectation that is checked with every recipe.

    Attributes:
        expectation: of Great Expectations, by its name.
        arguments: of it; where ``split`` is given, the rows of that split alone are looked at.
        description: what it demands, in a sentence.
        fix: what to do where it does not hold.
    """

    expectation: str
    arguments: dict[str, Any]
    description: str
    fix: str
    split: str | None = field(default=None, kw_only=True)


class Description:
    """Base: what the sample table shows of a modality, and what must hold of it; of this one nothing."""

    COLUMNS: tuple[str, ...] = ()
    """The columns of the sample table that `describe` makes for every modality."""
    SHOWS_DATA = False
    """Whether the sample table has the columns of the data, too; what they tell of the label is looked at."""

    def describe(self, samples: Samples[Any], encoding: Any) -> pd.DataFrame:
        """Return the modality's own columns of the sample table, one row a sample."""
        import pandas as pd

        return pd.DataFrame(index=range(len(samples)))

    def rules(self, splits: dict[str, pd.DataFrame], columns: list[str], encoding: Any) -> Iterable[Rule]:
        """Return what must hold of the sample table.

        Args:
            splits: the table's rows by their split, `train` first.
            columns: those that are the data's own.
        """
        return ()


def description_of(encoding: KindConfig) -> Description:
    """Return what describes samples of the modality of ``encoding``."""
    description: Description = modality_of(encoding).load("description")()
    return description


def describe(samples: Samples[Any], split: str, encoding: KindConfig) -> pd.DataFrame:
    """Return one row a sample of ``split``.

    Columns: split, index, place (file and row, where there is one), label (missing where it is missing), class_name
    (not for a regression), those of the modality, content_hash (SHA-256 of the raw input), normal_hash (where there
    are texts: the same of them without case, superfluous blanks and Unicode forms).
    """
    import pandas as pd

    columns = {"split": split, "index": np.arange(len(samples)), "place": samples.places}
    table = pd.DataFrame({**columns, **_labels(samples)}, index=range(len(samples)))
    hashes = pd.DataFrame({"content_hash": hash_each(samples.inputs)})
    normalized = hash_each_normalized(samples.inputs)
    if normalized is not None:
        hashes["normal_hash"] = normalized
    return pd.concat([table, description_of(encoding).describe(samples, encoding), hashes], axis=1)


def _labels(samples: Samples[Any]) -> dict[str, object]:
    import pandas as pd

    labels, names = samples.labels, samples.class_names
    if not names:
        return {"label": labels}
    return {
        "label": pd.arrays.IntegerArray(labels.copy(), mask=labels < 0),
        "class_name": [names[label] if 0 <= label < len(names) else None for label in labels],
    }


def name_in_sample_table(column: str) -> str:
    """Return the name under which the sample table shows ``column`` of the data."""
    return f"column_{column}" if column in SAMPLE_COLUMNS else column
