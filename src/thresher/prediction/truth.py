"""The labels of new data, where it has them, as the classes or values of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from thresher.modalities.encoder import Encoder
from thresher.readers.frame.numbers import PLAIN, NumberFormat
from thresher.readers.frame.values import Missing, as_float64, distinct_texts, is_numeric

MISSING, UNKNOWN = -1, -2
"""In place of a class: there is no label, or one that the model does not know."""


class LabelReader:
    """Reads labels as the catalog entry of the test data says they are written."""

    def __init__(self, encoder: Encoder, options: Any, missing: Missing, form: NumberFormat | None) -> None:
        self._classes, self._missing, self._form = encoder.class_names, missing, form or PLAIN
        given = getattr(options, "class_names", None)
        counted = {str(number): number for number in range(len(self._classes))} if isinstance(given, list) else {}
        named = {name: number for number, name in enumerate(self._classes)}
        mapped = given.items() if isinstance(given, dict) else ()
        self._index = counted | named | {str(label): named[str(name)] for label, name in mapped if str(name) in named}

    def knows(self, text: str) -> bool:
        """Return whether ``text`` is a label of a class."""
        return text in self._index

    def read(self, column: Any) -> np.ndarray:
        """Return an Arrow array of labels, or a list of texts, as classes int64 [N], or values float64 [N]."""
        import pyarrow as pa

        if isinstance(column, Sequence):
            column = pa.array(column, pa.large_string())
        if not self._classes and is_numeric(column.type):
            values, _ = as_float64(column)
            return np.where(np.isin(values, self._missing.numbers) | ~np.isfinite(values), np.nan, values)
        texts, places = distinct_texts(column, self._missing)
        if not self._classes:
            labels = np.array([*map(self._value, texts), np.nan])
        else:
            codes = [MISSING if text is None else self._index.get(text, UNKNOWN) for text in texts]
            labels = np.array([*codes, MISSING], np.int64)
        found: np.ndarray = labels[places]
        return found

    def _value(self, text: str | None) -> float:
        read = None if text is None else self._form.read(text)
        return float(read) if read is not None and np.isfinite(float(read)) else np.nan
