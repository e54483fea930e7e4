"""Rows of a table: numbers standardized, categories as codes, missing values said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from thresher.config import KindConfig
from thresher.errors import DataError, InvalidInputError, nearest
from thresher.modalities.encoder import Encoder, UnencodableError
from thresher.modalities.samples import Inputs, Samples
from thresher.modalities.tabular.columns import AnyColumn, CategoricalColumn, NumericColumn, fit_column
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.tabular.table import Table, is_missing


class _RowsError(UnencodableError):
    """What is wrong with all rows alike, found at the first."""

    def __init__(self, text: str) -> None:
        super().__init__(0, text)

    def __reduce__(self) -> tuple[type, tuple[int, str]]:
        return (UnencodableError, (self.index, str(self)))


class TabularEncoding(KindConfig):
    """How rows become tensors: numbers by mean and deviation of the training split, categories by a code each."""

    kind: Literal["tabular"] = "tabular"
    unseen_categories: Literal["refuse", "other"] = "refuse"
    """What becomes of a category that the catalog entry of training never holds.
    refuse: in the test data it breaks the contract, in a request it is an error that names the allowed values.
    other: it is taken for code 0, "another category".
    A category that is only in the part of training held out for validation is code 0 either way."""


class TabularEncoder(Encoder):
    """Rows to float32 [N, F]: numbers, a flag for each column where training lacks some, then the categories' codes.

    A missing number is the column's mean (0 once standardized) with its flag set. A missing category is a category of
    its own.
    """

    NAMES: ClassVar[tuple[str, str]] = ("row", "rows")

    kind: Literal["tabular"] = "tabular"
    columns: tuple[AnyColumn, ...]
    """The columns in the table's order."""
    unseen_categories: Literal["refuse", "other"]

    @classmethod
    def fit(cls, samples: Samples[Table], config: TabularEncoding) -> TabularEncoder:
        """Return the encoder for rows with the columns of ``samples``.

        Raises:
            DataError: a column without any number, or with an infinite one.
        """
        table = samples.inputs
        try:
            columns = tuple(
                fit_column(name, values, table.units.get(name, "")) for name, values in table.columns.items()
            )
        except UnencodableError as error:
            raise DataError(f"{samples.place(error.index)}: {error}") from error
        return cls(columns=columns, unseen_categories=config.unseen_categories, class_names=samples.class_names)

    @property
    def model_input(self) -> TabularInput:
        numeric, categorical = self.numeric, self.categorical
        return TabularInput(
            num_numeric=len(numeric) + sum(column.has_missing for column in numeric),
            cardinalities=tuple(len(column.categories) + 1 for column in categorical),
        )

    @property
    def expected(self) -> str:
        return f"an object with {'; '.join(column.expected for column in self.columns)}"

    def example(self) -> Any:
        """Return the median of each number and the most frequent of each category."""
        return {column.name: column.typical for column in self.columns}

    def encode(self, inputs: Inputs) -> np.ndarray:
        """Return the rows of a Table as float32 [N, F].

        The contract has compared the test data with the whole of the training data. What only the part held out for
        validation has is therefore no error here: an unseen category is code 0, and a missing number the mean.

        Raises:
            UnencodableError: a column that is missing or of another type, an infinite or too large number.
        """
        assert isinstance(inputs, Table)
        self._check_names(inputs.columns, "column", _RowsError)
        numeric = [column.encode(inputs.columns[column.name]) for column in self.numeric]
        flags = [is_missing(inputs.columns[column.name]) for column in self.numeric if column.has_missing]
        codes = [column.encode(inputs.columns[column.name]) for column in self.categorical]
        return stack_columns(numeric, flags, codes)

    def encode_json(self, value: Any) -> np.ndarray:
        """Return one row, an object of column to value (null where missing), as float32 [1, F].

        Raises:
            InvalidInputError: columns that are missing or unknown, values of another type, infinite numbers, a
                missing value or category where training had none; all of them together.
        """
        if not isinstance(value, dict):
            raise InvalidInputError(f"A row is an object of column to value. Expected {self.expected}.")
        self._check_names(value, "key", InvalidInputError)
        refuse = self.unseen_categories == "refuse"
        problems = [problem for column in self.columns if (problem := column.problem(value[column.name], refuse))]
        if problems:
            raise InvalidInputError(" ".join(problems))
        # As `encode` does, without arrays of one value each, which would take longer than the model.
        numbers = [column.encode_one(value[column.name]) for column in self.numeric]
        flags = [value[column.name] is None for column in self.numeric if column.has_missing]
        codes = [column.encode_one(value[column.name]) for column in self.categorical]
        return np.array([[*numbers, *flags, *codes]], dtype=np.float32)

    def json_schema(self) -> dict[str, Any]:
        takes_others = self.unseen_categories == "other"
        columns = {column.name: column.json_schema(takes_others) for column in self.columns}
        return {"type": "object", "required": [*columns], "properties": columns, "additionalProperties": False}

    def write_json(self, inputs: Any, index: int) -> dict[str, str | float | None]:
        values = {name: column[index] for name, column in inputs.columns.items()}
        return {
            name: value if value is None or isinstance(value, str) else _or_null(value)
            for name, value in values.items()
        }

    @cached_property
    def numeric(self) -> list[NumericColumn]:
        """The columns of numbers, in the table's order; so they stand first in an encoded row."""
        return [column for column in self.columns if isinstance(column, NumericColumn)]

    @cached_property
    def categorical(self) -> list[CategoricalColumn]:
        """The columns of categories, in the table's order; so they stand last in an encoded row."""
        return [column for column in self.columns if isinstance(column, CategoricalColumn)]

    def _check_names(self, given: Any, what: str, error: type[InvalidInputError]) -> None:
        names = [column.name for column in self.columns]
        if given.keys() == set(names):
            return
        missing = [name for name in names if name not in given]
        unknown = [name for name in given if name not in names]
        problems = [f"Missing: {', '.join(missing)}."] if missing else []
        problems += [f"Unknown {what} '{name[:100]}'. {nearest(name[:100], missing or names)}" for name in unknown[:5]]
        if problems:
            raise error(" ".join(problems))


def stack_columns(
    numeric: Sequence[np.ndarray], flags: Sequence[np.ndarray], codes: Sequence[np.ndarray]
) -> np.ndarray:
    """Return encoded columns, each [N], in the order of an encoded row, float32 [N, F]."""
    return np.stack([*numeric, *flags, *codes], axis=1, dtype=np.float32, casting="unsafe")


def _or_null(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
