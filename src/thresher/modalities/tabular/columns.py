"""One column of a table: what training has seen in it, and how its values become numbers."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from thresher.config import Config
from thresher.errors import nearest
from thresher.modalities.centering import LARGEST_NUMBER, SWAMPED, center, find_swamping, too_large
from thresher.modalities.encoder import UnencodableError, is_number
from thresher.modalities.model_input import LARGEST
from thresher.modalities.tabular.days import read_iso
from thresher.modalities.tabular.table import empty_as

MAX_LISTED = 30
"""Categories that a sentence lists."""
UNSEEN = 0
EXACT = 2**53
"""The number up to which float64 holds every whole number."""


def category_text(value: str | float | None) -> str | None:
    """Return the category that ``value`` of a file or of a JSON document names: 3 for 3.0, true for True.

    Whole numbers of any size keep all their digits.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return str(int(value))
    return value if value is None or isinstance(value, str) else str(value)


def _changes(value: int) -> bool:
    try:
        return int(float(value)) != value
    except OverflowError:  # told as too large
        return False


class NumericColumn(Config):
    """A column of numbers."""

    kind: Literal["numeric"] = "numeric"
    name: str
    mean: float
    """Over the values of the training split."""
    std: float = Field(gt=0)
    median: float
    has_missing: bool
    """Whether the training split lacks values here; there is a flag for it then."""
    is_constant: bool = False
    """Whether training has one value alone here. Nothing can be learned of it, and the weights behind it stay as they
    were drawn, so that any value of a request counts as that one."""
    unit: str = ""
    """What the numbers are, such as days since 1970-01-01 UTC; empty where that is not known. Where they are days, a
    request may say dates of ISO 8601 as well."""

    @property
    def expected(self) -> str:
        unit = f" of {self.unit}, or a date or time as ISO 8601 writes it" if self.unit else ""
        return f"{self.name}: a number{unit}{' or null' if self.has_missing else ''}"

    def json_schema(self, takes_others: bool) -> dict[str, Any]:
        """Return the JSON schema of a value."""
        kinds = ["number", *(["string"] if self.unit else []), *(["null"] if self.has_missing else [])]
        return {"type": kinds if len(kinds) > 1 else "number"}

    @property
    def typical(self) -> float:
        return self.median

    def problem(self, value: Any, refuse_unseen: bool) -> str:
        """Return in a sentence why ``value`` of a request cannot be encoded, or ""."""
        if value is None:
            return "" if self.has_missing else f"{self.name}: null, but training had no missing value here."
        value = self._in_days(value)
        if not is_number(value):
            unit = f" of {self.unit} or a date or time of ISO 8601" if self.unit else ""
            return (
                f"{self.name}: {_shown(value)} is not a number. Expected one of JSON{unit}, such as {self.median:.6g}."
            )
        if isinstance(value, int) and abs(value) > EXACT and _changes(value):
            return f"{self.name}: {_shown(value)} is a whole number that a 64-bit float cannot represent exactly."
        try:
            standardized = abs((float(value) - self.mean) / self.std)
        except OverflowError:
            standardized = np.inf
        return "" if standardized <= LARGEST else f"{self.name}: {_shown(value)} is not finite or too large."

    def encode_one(self, value: float | str | None) -> float:
        """Return one value of a request, in which there is no problem, as `encode` does."""
        return 0.0 if value is None or self.is_constant else (float(self._in_days(value)) - self.mean) / self.std

    def _in_days(self, value: Any) -> Any:
        """Return a date as a number where this column is of days; any other value as it is."""
        if not self.unit or not isinstance(value, str):
            return value
        try:
            return read_iso(value, self.unit)
        except ValueError:
            return value

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return float64 [N] standardized, 0 where missing, and everywhere in a column that is constant."""
        values = empty_as(values, np.dtype(np.float64))
        if values.dtype != np.float64:
            raise UnencodableError(0, f"Column {self.name} holds text. Expected numbers, as in training.")
        standardized = self.standardize(values)
        wrong = np.abs(standardized) > LARGEST
        if wrong.any():
            index = int(wrong.argmax())
            raise UnencodableError(index, f"{self.name}: {values[index]} is not finite or too large.")
        return self.settle(standardized)

    def standardize(self, values: np.ndarray) -> np.ndarray:
        """Return ``values`` [N], float64, less the mean, in standard deviations; NaN where missing."""
        with np.errstate(over="ignore"):
            standardized: np.ndarray = (values - self.mean) / self.std
        return standardized

    def settle(self, standardized: np.ndarray) -> np.ndarray:
        """Return what the model is given for ``standardized`` values [N]."""
        return np.where(np.isnan(standardized) | self.is_constant, 0.0, standardized)


class CategoricalColumn(Config):
    """A column of categories."""

    kind: Literal["categorical"] = "categorical"
    name: str
    categories: tuple[str | None, ...]
    """The categories of the training split, the most frequent first, null for a missing value. Their codes are 1, 2,
    ...; code 0 is a category that training has not seen."""

    @property
    def expected(self) -> str:
        null = " or null" if None in self.categories else ""
        return f"{self.name}: one of {_listed(self._texts)}{null}" if self._texts else f"{self.name}: null"

    def json_schema(self, takes_others: bool) -> dict[str, Any]:
        """Return the JSON schema of a value; ``takes_others``: categories that training did not see are taken."""
        return {"type": ["string", "null"]} if takes_others else {"enum": list(self.categories)}

    @property
    def typical(self) -> str | None:
        return self.categories[0]

    def problem(self, value: Any, refuse_unseen: bool) -> str:
        """Return in a sentence why ``value`` of a request cannot be encoded, or ""."""
        if value is not None and not isinstance(value, (str, int, float)):
            return f"{self.name}: {_shown(value)} is no text."
        value = category_text(value)
        if value in self._codes or not refuse_unseen:
            return ""
        if value is None:
            return f"{self.name}: null, but training had no missing value here. Allowed: {_listed(self._texts)}."
        return f"{self.name}: '{value[:100]}' was not in the training data. {_hint(value[:100], self._texts)}"

    def encode_one(self, value: str | float | None) -> float:
        """Return one value of a request, in which there is no problem, as `encode` does."""
        return self._codes.get(category_text(value), UNSEEN)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the code of each value, float64 [N]."""
        values = empty_as(values, np.dtype(np.object_))
        if values.dtype != np.object_:
            raise UnencodableError(0, f"Column {self.name} holds numbers. Expected text, as in training.")
        return np.fromiter((self._codes.get(value, UNSEEN) for value in values.tolist()), np.float64, len(values))

    @cached_property
    def _codes(self) -> dict[str | None, int]:
        return {category: code for code, category in enumerate(self.categories, start=1)}

    @property
    def _texts(self) -> list[str]:
        return [category for category in self.categories if category is not None]


AnyColumn = Annotated[NumericColumn | CategoricalColumn, Field(discriminator="kind")]


def fit_column(name: str, values: np.ndarray, unit: str = "") -> NumericColumn | CategoricalColumn:
    """Return what a column of the training split holds.

    Args:
        values: as `Table` has them, float64 or text, [N].
        unit: what the numbers are, where that is known.

    Raises:
        UnencodableError: an infinite number, none at all, or numbers that differ by too little to compute with.
    """
    if values.dtype == np.object_:
        counts = Counter(values.tolist())
        ordered = sorted(counts, key=lambda value: (-counts[value], value is None, value or ""))
        return CategoricalColumn(name=name, categories=tuple(ordered))
    missing = np.isnan(values)
    if missing.all():
        raise UnencodableError(0, f"Column {name} has no value in the training split. Fix: drop it.")
    if (large := too_large(values)).any():
        index = int(large.argmax())
        what = f"Column {name} holds {values[index]:g}. Allowed: finite numbers up to {LARGEST_NUMBER:g}"
        raise UnencodableError(index, f"{what}. Fix: correct it, or take another unit for the column.")
    given = values[~missing]
    try:
        mean, std = center(given)
    except ValueError as error:
        raise UnencodableError(0, f"The values of column {name} {error}. Fix: another unit for it.") from error
    if (among := find_swamping(given, mean, std)) is not None:
        index = int(np.flatnonzero(~missing)[among])
        raise UnencodableError(index, f"Column {name} holds {values[index]:g}: {SWAMPED}")
    return NumericColumn(
        name=name,
        mean=mean,
        std=std,
        median=float(np.median(given)),
        has_missing=bool(missing.any()),
        is_constant=bool((given == given[0]).all()),
        unit=unit,
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return f"{', '.join(names[:MAX_LISTED])}{more}"


def _hint(given: str, names: list[str]) -> str:
    near, _, _ = nearest(given, names).partition("Allowed: ")
    return f"{near}Allowed: {_listed(names)}."


def _shown(value: Any) -> str:
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a whole number of more than 40 digits"
    return repr(value)[:60] if isinstance(value, (str, int, float)) else f"{type(value).__name__} of JSON"
