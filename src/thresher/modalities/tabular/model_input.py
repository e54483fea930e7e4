"""What a model of rows of a table takes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from thresher.errors import InvalidInputError
from thresher.modalities.model_input import ModelInput


class TabularInput(ModelInput):
    """A row, float32 [N, F]: standardized numbers and missing-value flags, then one code for each categorical column.

    A code is a whole number: 0 is a category that training did not see, 1.. are those that it saw.
    """

    name: ClassVar[str] = "row"
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)
    is_dense: ClassVar[bool] = False
    kind: Literal["tabular"] = "tabular"
    num_numeric: int
    """Leading columns that are numbers."""
    cardinalities: tuple[int, ...]
    """Codes of each categorical column, 0 included."""

    @classmethod
    def probes(cls) -> tuple[TabularInput, TabularInput]:
        return cls(num_numeric=3, cardinalities=(4,)), cls(num_numeric=5, cardinalities=(6, 7))

    @property
    def longest(self) -> tuple[int, ...]:
        return (self.num_numeric + len(self.cardinalities),)

    def check_values(self, batch: np.ndarray) -> None:
        if not np.isfinite(batch).all():
            raise InvalidInputError("row: NaN or infinity given; every number must be finite.")
        codes = batch[:, self.num_numeric :]
        wrong = (codes < 0) | (codes >= np.array(self.cardinalities)) | (codes != np.floor(codes))
        if wrong.any():
            column = int(wrong.any(axis=0).argmax())
            allowed = f"a whole number of 0 to {self.cardinalities[column] - 1}"
            raise InvalidInputError(f"row: place {self.num_numeric + column} holds a category's code, {allowed}.")
