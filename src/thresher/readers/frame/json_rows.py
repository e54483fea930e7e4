"""Reads JSON Lines and arrays of JSON objects: by pyarrow where that is exact, else by Python's json, which is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thresher.errors import DataError
from thresher.modalities.tabular.columns import category_text
from thresher.readers.base import Mistakes, number_places
from thresher.readers.frame.files import lines_of, read_text
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.names import check_names

EXACT = 2**53
"""The number up to which a float64 holds every whole number."""
MAX_DEPTH = 500
ONE_A_LINE = "one JSON object a line."
KEYS = "name the keys in the file"


def read_json(path: Path, encoding: str, fix: str, lines: bool) -> Frame:
    """Return the columns of a file of JSON objects: one a ``lines``, or an array of them.

    Places are the numbers of the lines, or of the objects in the array, from 1. Null, NaN and a key that is not there
    are missing values.

    Raises:
        DataError: no such file, what is no JSON object, a key that an object holds twice, a column of texts and
            numbers, half of a surrogate pair; with the lines.
    """
    text = read_text(path, encoding, fix)
    lines = lines or text.lstrip().startswith("{")  # many call JSON Lines .json
    frame = _read_exactly(path, text) if lines else None
    return frame or _read_by_object(path, _lines(path, text) if lines else _array(path, text))


def _read_exactly(path: Path, text: str) -> Frame | None:
    """Return the columns by pyarrow; None where it refuses, or would change a value."""
    import pyarrow as pa

    numbered = [(number, line) for number, line in enumerate(map(str.strip, lines_of(text)), start=1) if line]
    if not numbered or not all(_is_one_object(line) for _, line in numbered):
        return None
    block = max(1 << 20, 2 + max(len(line) for _, line in numbered) * 4)
    try:
        content = text.encode()
        table = _parse(content, block, {})
        # Texts that look like dates are texts.
        dates = {field.name: pa.string() for field in table.schema if pa.types.is_timestamp(field.type)}
        table = _parse(content, block, dates).select(table.column_names) if dates else table
    except (pa.ArrowException, ValueError):
        return None
    columns = [column.combine_chunks() for column in table.columns]
    if table.num_rows != len(numbered) or not all(map(_is_exact, columns)):
        return None
    places = np.array([f"{path.name}:{number}" for number, _ in numbered], dtype=object)
    named, unusable = check_names(path, table.column_names, columns, KEYS)
    return Frame(named, places, path, unusable=unusable)


def _is_one_object(line: str) -> bool:
    """Return whether ``line`` may be a whole object that pyarrow reads: of very deep ones its parser dies."""
    depth_at_most = line.count("{") + line.count("[")
    return line.startswith("{") and line.endswith("}") and depth_at_most <= MAX_DEPTH


def _parse(content: bytes, block: int, types: Mapping[str, Any]) -> Any:
    import pyarrow as pa
    from pyarrow import json as arrow_json

    return arrow_json.read_json(
        pa.BufferReader(content),
        read_options=arrow_json.ReadOptions(block_size=block),
        parse_options=arrow_json.ParseOptions(explicit_schema=pa.schema(dict(types)) if types else None),
    )


def _is_exact(column: Any) -> bool:
    """Return whether pyarrow has kept what a column says: a float64 may have been a large whole number."""
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        return False
    if not pa.types.is_floating(column.type):
        return True
    values = column.to_numpy(zero_copy_only=False)
    return not bool((np.abs(values[~np.isnan(values)]) >= EXACT).any())


def _lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    """Yield the place and the object of each line; raises DataError for those that hold none."""
    mistakes = Mistakes()
    for number, line in enumerate(lines_of(text), start=1):
        if line.strip():
            try:
                yield f"{path.name}:{number}", _load(line)
            except (ValueError, RecursionError) as error:
                mistakes.add(f"{path}:{number}", f"not JSON ({error})", ONE_A_LINE)
    mistakes.refuse()


def _array(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    try:
        objects = _load(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}). Fix: an array of objects, [{{...}}, {{...}}].") from error
    if not isinstance(objects, list):
        raise DataError(f"{path}: not an array of objects. Fix: [{{...}}, {{...}}], or one object a line.")
    yield from zip(number_places(path, len(objects)), objects, strict=True)


def _load(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key '{repeated}' appears twice")
    return document


def _read_by_object(path: Path, found: Iterator[tuple[str, Any]]) -> Frame:
    import pyarrow as pa

    objects, places, mistakes = [], [], Mistakes()
    for place, document in found:
        if not isinstance(document, dict):
            mistakes.add(path.parent / place, "not a JSON object", ONE_A_LINE)
            continue
        objects.append(document)
        places.append(place)
    mistakes.refuse()
    where = np.array(places, dtype=object)
    names = list(dict.fromkeys(name for document in objects for name in document))
    columns, mixed = [], {}
    for name in names:
        try:
            columns.append(_column(path, name, [document.get(name) for document in objects], where))
        except DataError as error:  # reported when the column is used: it may be dropped
            columns.append(pa.nulls(len(objects), pa.struct([])))
            mixed[name] = str(error)
    named, unusable = check_names(path, names, columns, KEYS)
    return Frame(named, where, path, unusable=unusable | mixed)


def _column(path: Path, name: str, values: list[Any], places: np.ndarray) -> Any:
    """Return ``values`` as an Arrow array: numbers as such where 64 bits hold them, else as they are written.

    Raises:
        DataError: not all are texts, numbers, or true and false; half of a surrogate pair; with the first places.
    """
    given = [None if value != value else value for value in values]
    first = next((_kind(value) for value in given if value is not None), "")
    mistakes = Mistakes()
    for place, value in zip(places, given, strict=True):
        if value is None:
            continue
        if _kind(value) != first or isinstance(value, (list, dict)):
            others = "" if isinstance(value, (list, dict)) and _kind(value) == first else f", in others {first}"
            what = f"column '{name}' holds {_kind(value)} {str(value)[:60]}{others}"
            mistakes.add(path.parent / place, what, "one type a column, text or numbers; or drop the column.")
        elif isinstance(value, str) and not _is_text(value):
            what = f"column '{name}' holds half of a surrogate pair, which is not a character"
            mistakes.add(path.parent / place, what, "correct the text: write the file as UTF-8.")
    mistakes.refuse()
    return _as_array(given, first)


def _as_array(values: list[Any], kind: str) -> Any:
    import pyarrow as pa

    if kind == "number" and any(isinstance(value, float) for value in values):
        exact = all(not isinstance(value, int) or abs(value) <= EXACT for value in values)
        if exact:
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
    elif kind == "number":
        whole = [value for value in values if value is not None]
        lowest, highest = min(whole), max(whole)
        if lowest >= -(2**63) and highest < 2**63:
            return pa.array(values, pa.int64())
        if lowest >= 0 and highest < 2**64:
            return pa.array(values, pa.uint64())
    elif kind == "true or false":
        return pa.array(values, pa.bool_())
    elif kind == "text":
        return pa.array(values, pa.large_string())
    texts = [None if value is None else category_text(value) for value in values]
    return pa.array(texts, pa.large_string()) if kind else pa.nulls(len(values))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
