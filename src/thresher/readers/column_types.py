"""Which columns of a table are numbers, which are categories, and which are neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thresher.errors import DataError, list_some
from thresher.modalities.tabular.days import UNIT, UNIT_OF_TIMES
from thresher.modalities.tabular.table import Table
from thresher.readers.base import Mistakes
from thresher.readers.frame.dates import (
    DIGITS,
    ISO,
    are_dates_in_digits,
    days_of,
    read_date,
    unit_of,
)
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.look_alikes import INSIST, describe_formats, look_alike
from thresher.readers.frame.numbers import (
    DIVIDED,
    MIN_SHARE_READ,
    PLAIN,
    NumberFormat,
    find_divided_thousands,
    format_in,
    suggest_format,
)
from thresher.readers.frame.values import (
    NOTHING,
    Missing,
    as_float64,
    as_texts,
    changes,
    is_numeric,
    is_temporal,
    is_textual,
)
from thresher.readers.labels import find_spellings, looks_missing
from thresher.readers.warn_once import warn

NOT_FINITE = "correct or remove the row, or list what it says under 'missing' in the catalog."
NO_NUMBER = "correct the row, list what it says under 'missing' in the catalog, or name the column under 'categorical'."
TOO_LARGE = "name the column under 'categorical' if it is an id, or under 'drop', in the catalog."
NO_DATE = "correct the row, list what it says under 'missing', or correct the format under 'dates' in the catalog."
ONE_SYMBOL = "bring the column to one unit."

LEADING_ZERO = re.compile(r"[+-]?0\d")
LOOKED_AT = 1000
"""Rows in which zeros before numbers are looked for."""
MAX_CATEGORIES = 10_000
"""In a column with more different values, two spellings of one are not looked for: it holds names or texts."""
MIN_BELOW_UNIT = 2
"""How many numbers must follow a first row of text, and nothing else, for that to be no category among others."""


@dataclass(frozen=True)
class ColumnTypes:
    """What a catalog entry says of its columns."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    dates: Mapping[str, str] = field(default_factory=dict)
    """Column -> the format of its dates."""
    numbers: NumberFormat = PLAIN
    missing: Missing = NOTHING

    @property
    def declared(self) -> tuple[str, ...]:
        """The columns whose type is said."""
        return (*self.numeric, *self.categorical, *self.dates)


def choose_columns(frame: Frame, label: str, drop: Sequence[str], declared: Sequence[str]) -> list[str]:
    """Return the columns that are learned from, in the file's order: without an index of pandas that is not declared.

    Raises:
        DataError: a column that is not there, is the label, has no name of its own, or none at all.
    """
    for name in (*drop, *declared):
        frame.column(name, "in 'drop', 'numeric', 'categorical' or 'dates' of the catalog")
        if name == label:
            raise DataError(f"{frame.source}: column '{name}' is the label. Fix: name it under 'label' alone.")
    both = [name for name in declared if name in drop]
    if both:
        raise DataError(f"{frame.source}: column '{both[0]}' is dropped and has a type. Fix: one of them.")
    index = [name for name in frame.index if name not in (label, *drop, *declared)]
    if index:
        told = f"{', '.join(map(repr, index))} is the index of the DataFrame that was written, and not a feature"
        warn(frame.source, f"{told}. To use it, name it under 'numeric' or 'categorical'.")
    used = [name for name in frame.columns if name not in (label, *drop, *index)]
    if not used:
        raise DataError(f"{frame.source}: no columns besides the label. Fix: drop fewer.")
    frame.refuse_unusable(name for name in used if name not in declared)
    return used


def type_columns(frame: Frame, names: list[str], types: ColumnTypes) -> Table:
    """Return the columns ``names`` of ``frame`` as float64 where they are numbers or dates, else as text.

    Raises:
        DataError: a value that is not a number among numbers; an infinite number, or one that float64 does not hold; a
            column that is named twice, is of a type that is neither number nor text, or looks like numbers or dates
            that are written differently; with the first rows.
    """
    repeated = [name for name, count in Counter(types.declared).items() if count > 1]
    if repeated:
        told = f"column '{repeated[0]}' is named twice under 'numeric', 'categorical' and 'dates'"
        raise DataError(f"{frame.source}: {told}. Fix: name it once.")
    reading = _Reading(frame, types)
    columns = {name: reading.read(name) for name in names}
    reading.refuse()
    return Table(columns, units=reading.units, declared=frozenset(types.declared))


class _Reading:
    """Types one column after the other, and collects what is wrong in all of them."""

    def __init__(self, frame: Frame, types: ColumnTypes) -> None:
        self._frame, self._types = frame, types
        self._mistakes = Mistakes()
        self._refused: list[str] = []
        self.units: dict[str, str] = {}

    def read(self, name: str) -> np.ndarray:
        """Return a column as float64 or text."""
        types = self._types
        column = self._frame.values(name, "make it text or numbers, or drop it.")
        if name in types.categorical:
            return self._categories(name, as_texts(column, types.missing))
        if name in types.dates:
            return self._dates(name, column, types.dates[name])
        if is_numeric(column.type):
            return self._numbers(name, column, *as_float64(column))
        if is_temporal(column.type):
            self._refuse_temporal(name, column)
            return np.full(len(column), np.nan)
        return self._texts(name, column)

    def refuse(self) -> None:
        """Raise a DataError if anything is wrong."""
        if self._refused:
            raise DataError(f"{self._frame.source}: {list_some(self._refused, 'such columns')}")
        self._mistakes.refuse()

    def _wrong(self, index: int, what: str, fix: str) -> None:
        self._mistakes.add(self._frame.source.parent / self._frame.places[index], what, fix)

    def _numbers(self, name: str, column: Any, values: np.ndarray, changed: np.ndarray) -> np.ndarray:
        """Return ``values`` without those that stand for missing ones; notes what float64 does not hold."""
        if len(self._types.missing.numbers):
            gone = np.isin(values, self._types.missing.numbers)
            values, changed = np.where(gone, np.nan, values), changed & ~gone
        if name not in self._types.numeric and are_dates_in_digits(np.unique(values[~np.isnan(values)]).tolist()):
            fix = f"'dates: {{{name}: \"{DIGITS}\"}}', or 'numeric: [{name}]' to take them for numbers"
            self._refused.append(f"column '{name}' holds dates in digits, such as {values[0]:.0f}. Fix: write {fix}.")
        for index in np.flatnonzero(changed).tolist():
            what = f"column '{name}' holds {str(column[index])[:60]}, which a 64-bit float cannot represent exactly"
            self._wrong(index, what, TOO_LARGE)
        for index in np.flatnonzero(np.isinf(values)).tolist():
            self._wrong(index, f"column '{name}' holds an infinite number", NOT_FINITE)
        return values

    def _texts(self, name: str, column: Any) -> np.ndarray:
        types = self._types
        if is_textual(column.type) and types.numbers.is_plain:
            plain = plain_numbers(column)
            if plain is not None:
                if name not in types.numeric:
                    self._check_digits(name, column)
                return self._numbers(name, column, *plain)
        texts = as_texts(column, types.missing)
        counts = Counter(text for text in texts.tolist() if text is not None)
        form = format_in(counts, types.numbers)
        if form != types.numbers:
            told = f"column '{name}' is written as programs write numbers, and not as the catalog says"
            warn(self._frame.source, f"{told}: it is read so.")
        written = {text: form.read(text) for text in counts}
        wrong = {text for text, number in written.items() if number is None}
        num_wrong, num_given = sum(counts[text] for text in wrong), sum(counts.values())
        # Codes for none among numbers are no categories, however many they are.
        are_codes = num_wrong < num_given and all(looks_missing(text) for text in wrong)
        # A row of units below the names, which would be a tenth and more of a short file.
        are_units = num_wrong == 1 and texts[0] in wrong and num_given > MIN_BELOW_UNIT
        may_be_text = not num_given or (num_wrong > (1 - MIN_SHARE_READ) * num_given and not (are_codes or are_units))
        if name not in types.numeric and may_be_text:
            self._refuse_look_alike(name, texts, counts)
            return self._categories(name, texts)
        self._note_wrong(name, texts, wrong)
        self._note_symbols(name, texts, {text for text in counts if text not in wrong})
        numbers = {text: float(number) for text, number in written.items() if number is not None}
        values = np.array([numbers.get(text, np.nan) for text in texts.tolist()], dtype=np.float64)
        inexact = {text for text, number in written.items() if number is not None and changes(number)}
        changed = np.array([text in inexact for text in texts.tolist()], dtype=bool)
        return self._numbers(name, column, values, changed)

    def _categories(self, name: str, texts: np.ndarray) -> np.ndarray:
        """Return ``texts``; says which two of them are one in two spellings."""
        found = set(texts.tolist()) - {None}
        if len(found) <= MAX_CATEGORIES and (pair := find_spellings(found)):
            told = (
                f"column '{name}': '{pair[0][:60]}' and '{pair[1][:60]}' differ in case, blanks, Unicode form or the "
            )
            warn(self._frame.source, f"{told}writing of a number alone, and are two categories. Fix: one spelling.")
        return texts

    def _check_digits(self, name: str, column: Any) -> None:
        """Refuse points that may divide thousands, and say that zeros before numbers are lost."""
        first = [text for text in column.slice(0, LOOKED_AT).to_pylist() if text]
        zeros = next((text for text in first if LEADING_ZERO.match(text)), None)
        if zeros is not None:
            told = f"column '{name}' is read as numbers: '{zeros}' loses its zeros"
            fix = f"If these are codes, write 'categorical: [{name}]'; else 'numeric: [{name}]'"
            warn(self._frame.source, f"{told}. {fix}, in the catalog.")
        # Of most columns the first rows tell already.
        may = all(DIVIDED.match(text) for text in first if "." in text)
        if may and (example := find_divided_thousands(filter(None, column.to_pylist()))):
            told = f"column '{name}' holds numbers such as '{example}', whose point may divide thousands"
            fix = f"'decimal: \",\"' and 'thousands: \".\"' if it does, else 'numeric: [{name}]'"
            self._refused.append(f"{told}. Fix: write {fix}, in the catalog.")

    def _note_wrong(self, name: str, texts: np.ndarray, wrong: set[str]) -> None:
        if not wrong:
            return
        told = describe_formats(suggest_format(sorted(wrong)[:100]), sorted(wrong)[:100])
        fix = f"write {told}or {NO_NUMBER}" if told else NO_NUMBER
        for index, text in enumerate(texts.tolist()):
            if text in wrong:
                self._wrong(index, f"column '{name}' holds '{text[:60]}' among numbers", fix)

    def _note_symbols(self, name: str, texts: np.ndarray, numbers: set[str]) -> None:
        """Note where numbers of one column stand beside other symbols than the first: 5 $ and 5 € are not one unit."""
        if not self._types.numbers.symbols:
            return
        symbols = {text: self._types.numbers.symbol(text) for text in numbers}
        first = next((text for text in texts.tolist() if text in symbols), None)
        if first is None or len(set(symbols.values())) == 1:
            return
        for index, text in enumerate(texts.tolist()):
            if text in symbols and symbols[text] != symbols[first]:
                self._wrong(
                    index, f"column '{name}' holds '{text[:60]}' among numbers such as '{first[:60]}'", ONE_SYMBOL
                )

    def _refuse_look_alike(self, name: str, texts: np.ndarray, counts: Mapping[str, int]) -> None:
        given = {text: count for text, count in counts.items() if not looks_missing(text)}
        found = look_alike(name, given) if given else None
        if found is not None:
            place = self._frame.places[texts.tolist().index(found.example)]
            what = f"column '{name}' holds text that looks like {found.what}, such as '{found.example[:60]}' at {place}"
            self._refused.append(f"{what}. Fix: {found.fix}, in the catalog.")

    def _refuse_temporal(self, name: str, column: Any) -> None:
        told = f"column '{name}' holds dates or times ({column.type})"
        fix = f"'dates: {{{name}: {ISO}}}' to take it for numbers, {INSIST.format(name)}"
        self._refused.append(f"{told}. Fix: write {fix}, in the catalog.")

    def _dates(self, name: str, column: Any, form: str) -> np.ndarray:
        import pyarrow as pa

        if is_temporal(column.type):
            self.units[name] = UNIT_OF_TIMES if pa.types.is_time(column.type) else UNIT
            return days_of(column)
        self.units[name] = unit_of(form)
        texts, numbers = as_texts(column, self._types.missing), {None: np.nan}
        for index, text in enumerate(texts.tolist()):
            if text not in numbers:
                try:
                    numbers[text] = read_date(text, form)
                except ValueError:
                    self._wrong(index, f"column '{name}' holds '{text[:60]}', which is not a date as '{form}'", NO_DATE)
                    numbers[text] = np.nan
        return np.array([numbers[text] for text in texts.tolist()], dtype=np.float64)


def plain_numbers(column: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return texts as float64 and where that changes them, if all are numbers as programs write them; else None."""
    import pyarrow as pa
    from pyarrow import compute

    empty = compute.equal(column, "")
    filled = compute.if_else(empty, None, column) if compute.any(empty).as_py() else column
    if filled.null_count == len(filled):
        return None
    try:
        values = filled.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    present = filled.is_valid().to_numpy(zero_copy_only=False)
    if not np.isfinite(values[present]).all():
        return None
    changed = np.zeros(len(values), dtype=bool)
    for index in np.flatnonzero(present & (np.abs(values) >= 2**53)):
        changed[index] = changes(filled[int(index)].as_py())
    return values, changed
