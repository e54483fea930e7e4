"""Makes labels of what a file says of each sample: classes by name, number or a mapping; or numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import numpy as np
from annotated_types import MinLen
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from thresher.errors import DataError, nearest
from thresher.modalities.samples import normalize
from thresher.readers.base import Mistakes
from thresher.readers.frame.look_alikes import describe_formats
from thresher.readers.frame.numbers import PLAIN, NumberFormat, find_divided_thousands, format_in, suggest_format
from thresher.readers.frame.values import NOTHING, Missing, as_float64, as_texts, changes, decode, is_numeric
from thresher.readers.options import Codes, ReaderOptions, RefusedError, Says
from thresher.readers.warn_once import warn

LIKE_MISSING = frozenset({
    "", "?", "-", "--", ".", "nan", "-nan", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "#n/a n/a", "<na>", "null",
    "(null)", "\\n", "none", "nil", "nat", "1.#qnan", "-1.#ind", "1.#ind", "#div/0!", "#ref!", "#value!", "#name?",
    "#num!", "#null!",
})  # fmt: skip
"""What programs and people write for a value that is not there, in small letters."""
MANY_CLASSES = 50
"""Labels of more classes than this, and than half of the samples, are refused as classes."""
FIX_MANY = "'regression: true' where they are numbers to predict, another column as 'label', or name the classes."
FIX_NONE = "Fix: name the column of labels as 'label', and see what 'missing' lists."
FIX_CHANGED = "write a number of fewer digits; leave out 'regression: true' where it is an id."

ClassNames = Sequence[str] | Mapping[str, str] | None
"""A list: the classes in their order, which the data names, or counts from 0. A mapping: what the data says -> class,
so that two spellings can be one class. None: what is found, in its order."""
ClassName = Annotated[str | int, Says("a name")]


def _each_once(names: Any) -> Any:
    texts = [str(name) for name in names] if isinstance(names, list) else []
    repeated = next((text for number, text in enumerate(texts) if text in texts[:number]), None)
    if repeated is not None:
        raise RefusedError(f"'{repeated}' appears twice", "Fix: one name a class.")
    return names


ClassList = Annotated[list[ClassName], MinLen(1), AfterValidator(_each_once), Says("a list of names")]
ClassMapping = Annotated[
    dict[ClassName, ClassName], MinLen(1), Says("a mapping of what the data says to the class's name")
]


class ClassOptions(ReaderOptions):
    """Options of a reader whose labels are classes."""

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

    @property
    def known_classes(self) -> tuple[str, ...]:
        """The classes, as far as the options name them."""
        names = self.classes.values() if isinstance(self.classes, dict) else self.classes
        return tuple(dict.fromkeys(names or ()))


class LabelOptions(ClassOptions):
    """Options of a reader whose labels are classes or numbers."""

    regression: bool = False
    """Labels are numbers."""
    missing: Codes = Field(default=[])
    """What stands for a missing value, in all formats, besides an empty cell and null. Numbers are compared as such."""

    @property
    def missing_values(self) -> Missing:
        """What stands for a missing value."""
        return Missing(frozenset(map(str, self.missing)))

    def to_labels(
        self, raw: Any, places: np.ndarray, form: NumberFormat | None = None
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return labels and class names by `make_labels`, or by `make_values` and none for a regression."""
        if self.regression:
            return make_values(raw, places, self.missing_values, form), ()
        return make_labels(raw, self.classes, places, self.missing_values)

    @field_validator("regression")
    @classmethod
    def _has_no_classes(cls, regression: bool, info: ValidationInfo) -> bool:
        if regression and info.data.get("class_names") is not None:
            raise RefusedError("true given beside 'class_names'", "A regression has no classes. Fix: leave one out.")
        return regression


def make_labels(
    raw: Any, class_names: ClassNames, places: np.ndarray, missing: Missing = NOTHING
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels (int64 [N], -1 where missing) and the class names.

    Args:
        raw: what the data says, [N]: an Arrow array, or a NumPy one of text (dtype object, None where missing), whole
            numbers or floats (NaN where missing). Whole numbers keep all their digits.
        missing: what stands for a missing label, besides null and an empty text.

    Raises:
        DataError: labels outside of ``class_names``, that look like missing ones, are one number in two spellings, or
            infinite, with the first places; no label at all; as many classes as samples.
    """
    texts = as_texts(_as_arrow(raw), missing).tolist()
    found = set(texts) - {None}
    if not found:
        raise DataError(f"{places[0] if len(places) else 'no sample'}: none of the samples has a label. {FIX_NONE}")
    index, names = _index_of(found, class_names)
    mistakes = Mistakes()
    unclear = _unclear(found, index if class_names is not None else {})
    for number, text in enumerate(texts if unclear or found - index.keys() else []):
        if text in unclear:
            mistakes.add(places[number], *unclear[text])
        elif text is not None and text not in index:
            what = f"label '{text[:100]}' is not declared. {nearest(text[:100], map(str, index))}"
            mistakes.add(places[number], what.removesuffix("."), _fix_undeclared(text, class_names))
    mistakes.refuse()
    if class_names is None and len(found) > max(MANY_CLASSES, len(texts) / 2):
        told = f"{len(found):,} different labels in {len(texts):,} samples, such as '{texts[0]}'"
        raise DataError(f"{places[0]}: {told}. Fix: {FIX_MANY}")
    if class_names is None:
        warn_of_spellings(found, places[0])
    index[None] = -1
    return np.fromiter(map(index.__getitem__, texts), np.int64, len(texts)), names


def make_values(
    raw: Any, places: np.ndarray, missing: Missing = NOTHING, form: NumberFormat | None = None
) -> np.ndarray:
    """Return the labels of a regression, float64 [N], NaN where missing.

    Args:
        raw: what the data says, as `make_labels` takes it.
        missing: what stands for a missing label, besides null and an empty text.
        form: how texts write numbers, where the reader can be told.

    Raises:
        DataError: what is not a finite number, or one that float64 does not hold, with the first places.
    """
    column = _as_arrow(raw)
    if is_numeric(column.type):
        values, changed = as_float64(column)
        gone = np.isnan(values) | np.isin(values, missing.numbers)
    else:
        texts = as_texts(column, missing)
        found = set(texts.tolist()) - {None}
        form = form and format_in(found, form)
        written = {text: (form or PLAIN).read(text) for text in found}
        _refuse_units(texts, places, form or PLAIN)
        values = np.array([float(written.get(text) or "nan") for text in texts.tolist()], dtype=np.float64)
        gone = np.array([text is None for text in texts.tolist()], dtype=bool)
        inexact = {text for text, number in written.items() if number is not None and changes(number)}
        changed = np.array([text in inexact for text in texts.tolist()], dtype=bool)
        if (form or PLAIN).is_plain and (example := find_divided_thousands(found)):
            told = f"labels such as '{example}' have a point that may divide thousands, and is read as a decimal point"
            warn(places[0], f"{told}. If it does, write 'decimal: \",\"' and 'thousands: \".\"' in the catalog.")
    mistakes = Mistakes()
    for number in np.flatnonzero(~gone & (changed | ~np.isfinite(values))).tolist():
        text = str(column[number])[:100]
        if changed[number]:
            mistakes.add(
                places[number], f"label {text} is a number that a 64-bit float cannot represent exactly", FIX_CHANGED
            )
        else:
            mistakes.add(places[number], f"label '{text}' is not a finite number", _fix_number(text, form))
    mistakes.refuse()
    return np.where(gone, np.nan, values)


def _fix_undeclared(text: str, class_names: ClassNames) -> str:
    if isinstance(class_names, Mapping) or not text.isdecimal():
        return "correct the label, or complete class_names."
    return f"a list counts from 0; a mapping says which label is which class: class_names: {{'{text}': NAME, ...}}."


def warn_of_spellings(found: Set[str], source: object) -> None:
    """Say which classes differ in case, blanks or Unicode form alone: they may be one, or letters of two kinds."""
    if pair := find_spellings(found):
        told = f"labels '{pair[0][:60]}' and '{pair[1][:60]}' differ in case, blanks or Unicode form alone"
        warn(source, f"{told}, and are two classes. If they are one class, give both one name.")


def find_spellings(texts: Set[str]) -> tuple[str, str] | None:
    """Return the first two of ``texts`` that differ in case, blanks, Unicode form or the writing of a number alone."""
    forms: dict[str, str] = {}
    for text in sorted(texts):
        other = forms.setdefault(normalize(text), text)
        if other != text:
            return other, text
    return None


def _refuse_units(texts: np.ndarray, places: np.ndarray, form: NumberFormat) -> None:
    """Raise a DataError where labels stand beside other symbols than the first: 5 $ and 5 € are not one unit."""
    symbols = [form.symbol(text) if text is not None and form.symbols else None for text in texts.tolist()]
    first = next((symbol for symbol in symbols if symbol is not None), None)
    mistakes = Mistakes()
    for number, symbol in enumerate(symbols):
        if symbol is not None and symbol != first:
            mistakes.add(places[number], f"label '{texts[number][:100]}' beside '{first}'", "bring labels to one unit.")
    mistakes.refuse()


def _fix_number(text: str, form: NumberFormat | None) -> str:
    told = describe_formats(suggest_format([text]), [text]) if form is not None else ""
    return f"write {told}or correct or remove it." if told else "correct or remove it."


def _as_arrow(raw: Any) -> Any:
    import pyarrow as pa

    if not isinstance(raw, np.ndarray):
        return decode(raw)
    if raw.dtype == np.object_:
        return pa.array(raw, pa.large_string())
    # Arrow knows the machine's own order of bytes and no floats beyond 64 bits.
    return pa.array(raw.astype(np.float64) if raw.dtype == np.longdouble else raw.astype(raw.dtype.newbyteorder("=")))


def looks_missing(text: str) -> bool:
    """Return whether ``text`` is what programs and people write for a value that is not there."""
    return " ".join(text.split()).lower() in LIKE_MISSING


def _unclear(found: Set[str], declared: Mapping[Any, int]) -> dict[str, tuple[str, str]]:
    """Return what is wrong with labels that nobody has declared, and the fix."""
    unclear = {}
    numbers: dict[Decimal, str] = {}
    for text in sorted(found - declared.keys()):
        if looks_missing(text):
            fix = f"label or remove these rows, or list it under 'class_names' to keep it as a class: '{text}'."
            unclear[text] = (f"label '{text}' looks like a missing value", fix)
        number = as_decimal(text)
        if number is not None and not number.is_finite():
            fix = f"correct or remove it, or list it under 'class_names' to keep it as a class: '{text}'."
            unclear.setdefault(text, (f"label '{text}' is not a finite number", fix))
        elif number is not None and number in numbers:
            what = f"label '{text}' is the same number as label '{numbers[number]}'"
            unclear[text] = (what, "write them alike, or map both to one name under 'class_names'.")
        elif number is not None:
            numbers[number] = text
    return unclear


def as_decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _index_of(found: set[Any], class_names: ClassNames) -> tuple[dict[str | None, int], tuple[str, ...]]:
    """Return the index of each label that may be given, and the names of the classes."""
    if isinstance(class_names, Mapping):
        names = tuple(dict.fromkeys(class_names.values()))
        return dict(zip(class_names, map(names.index, class_names.values()), strict=True)), names
    names = tuple(sorted(found, key=_number_first) if class_names is None else class_names)
    by_number = list(map(str, range(len(names))))
    counted = found <= set(by_number) and not found & set(names)
    return dict(zip(by_number if counted else names, range(len(names)), strict=True)), names


def _number_first(text: str) -> tuple[bool, float, str]:
    number = float(text) if text[text[:1] in ("+", "-") :].isdecimal() else None
    return (number is None, number or 0.0, text)
