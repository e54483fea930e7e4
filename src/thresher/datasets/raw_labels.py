"""From what a file says of each sample to labels: classes by name, number or a mapping; or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import numpy as np
from annotated_types import MinLen
from pydantic import AfterValidator, ValidationInfo, field_validator

from thresher.datasets.raw_base import Mistakes
from thresher.datasets.reader_options import ReaderOptions, RefusedError, Says
from thresher.errors import DataError, nearest

ClassNames = Sequence[str] | Mapping[str, str] | None
"""A list: the classes in their order, which the data names, or counts from 0. A mapping: what the data says -> class,
so that two spellings can be one class. None: what is found, in its order."""
ClassName = Annotated[str | int, Says("a name")]


def _each_once(names: Any) -> Any:
    texts = [str(name) for name in names] if isinstance(names, list) else []
    repeated = next((text for number, text in enumerate(texts) if text in texts[:number]), None)
    if repeated is not None:
        raise RefusedError(f"'{repeated}' is there twice", "Fix: one name a class.")
    return names


ClassList = Annotated[list[ClassName], MinLen(1), AfterValidator(_each_once), Says("a list of names")]
ClassMapping = Annotated[
    dict[ClassName, ClassName], MinLen(1), Says("a mapping of what the data says to the class's name")
]


class ClassOptions(ReaderOptions):
    """Of a reader whose labels are classes."""

    class_names: ClassList | ClassMapping | None = None
    """A list (labels name or count them), a mapping of label to name, by which two spellings can be one class, or
    nothing for those that are found."""

    @property
    def classes(self) -> ClassNames:
        """The names as texts."""
        if self.class_names is None:
            return None
        if isinstance(self.class_names, dict):
            return {str(label): str(name) for label, name in self.class_names.items()}
        return [str(name) for name in self.class_names]


class LabelOptions(ClassOptions):
    """Of a reader whose labels are classes or numbers."""

    regression: bool = False
    """Labels are numbers."""

    @field_validator("regression")
    @classmethod
    def _has_no_classes(cls, regression: bool, info: ValidationInfo) -> bool:
        if regression and info.data.get("class_names") is not None:
            raise RefusedError("true given beside 'class_names'", "A regression has no classes. Fix: leave one out.")
        return regression


def make_labels(raw: np.ndarray, class_names: ClassNames, places: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels (int64 [N], -1 where missing) and the class names.

    Args:
        raw: what the data says, [N]: text (dtype object, None where missing) or float64 (NaN where missing).

    Raises:
        DataError: labels outside of ``class_names``, with the first places, or no label at all.
    """
    texts = _as_texts(raw)
    found = set(texts) - {None}
    if not found:
        raise DataError(f"{places[0] if len(places) else 'no sample'}: none of the samples has a label.")
    index, names = _index_of(found, class_names)
    mistakes = Mistakes()
    for number, text in enumerate(texts if found - index.keys() else []):
        if text is not None and text not in index:
            what = f"label '{text[:100]}' is not declared. {nearest(text[:100], map(str, index))}"
            mistakes.add(places[number], what.removesuffix("."), "mend the label, or complete class_names.")
    mistakes.refuse()
    index[None] = -1
    return np.fromiter(map(index.__getitem__, texts), np.int64, len(texts)), names


def make_values(raw: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the labels of a regression, float64 [N], NaN where missing.

    Raises:
        DataError: what is no finite number, with the first places.
    """
    values, mistakes = np.full(len(raw), np.nan), Mistakes()
    for number, value in enumerate(raw.tolist()):
        if value is None or value != value:
            continue
        with suppress(ValueError):
            values[number] = float(value)
        if not np.isfinite(values[number]):
            mistakes.add(places[number], f"label '{str(value)[:100]}' is no finite number", "mend or remove it.")
    mistakes.refuse()
    return values


def label_samples(
    raw: np.ndarray, class_names: ClassNames, regression: bool, places: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels and class names by `make_labels`, or by `make_values` and none for a regression."""
    return (make_values(raw, places), ()) if regression else make_labels(raw, class_names, places)


def _index_of(found: set[Any], class_names: ClassNames) -> tuple[dict[str | None, int], tuple[str, ...]]:
    """Return the index of each label that may be given, and the names of the classes."""
    if isinstance(class_names, Mapping):
        names = tuple(dict.fromkeys(class_names.values()))
        return dict(zip(class_names, map(names.index, class_names.values()), strict=True)), names
    names = tuple(sorted(found, key=_number_first) if class_names is None else class_names)
    by_number = list(map(str, range(len(names))))
    counted = found <= set(by_number) and not found & set(names)
    return dict(zip(by_number if counted else names, range(len(names)), strict=True)), names


def _as_texts(raw: np.ndarray) -> list[str | None]:
    if raw.dtype == np.object_:
        return raw.tolist()
    return [None if value != value else as_text(value) for value in raw.tolist()]


def as_text(number: float) -> str:
    """Return a number as a name: 3 for 3.0."""
    return str(int(number)) if number.is_integer() else str(number)


def _number_first(text: str) -> tuple[bool, float, str]:
    number = float(text) if text.lstrip("+-").isdecimal() else None
    return (number is None, number or 0.0, text)
