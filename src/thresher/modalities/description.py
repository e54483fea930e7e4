"""The sample table: one row a sample, what a contract can speak about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities import DESCRIBE, AnyEncoding
from thresher.modalities.samples import Samples, hash_each, hash_each_normalized

if TYPE_CHECKING:
    import pandas as pd


def describe(samples: Samples, split: str, encoding: AnyEncoding) -> pd.DataFrame:
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
    return pd.concat([table, DESCRIBE[type(encoding)](samples, encoding), hashes], axis=1)


def _labels(samples: Samples) -> dict[str, object]:
    import pandas as pd

    labels, names = samples.labels, samples.class_names
    if not names:
        return {"label": labels}
    return {
        "label": pd.arrays.IntegerArray(labels.copy(), mask=labels < 0),
        "class_name": [names[label] if 0 <= label < len(names) else None for label in labels],
    }
