"""The columns of the sample table as far as they are known before any sample is read, and those that a recipe names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from thresher.catalog.entries import Entry
from thresher.contracts.check import LEAK_COLUMN
from thresher.contracts.conditions import comparisons
from thresher.contracts.refusal import columns_named
from thresher.kinds.record import KindError, ModalityKind
from thresher.kinds.registry import registry
from thresher.modalities.description import SAMPLE_COLUMNS, name_in_sample_table
from thresher.readers.header import find_columns
from thresher.readers.row_options import RowOptions
from thresher.recipe.source import Place

OF_ALL = frozenset({*SAMPLE_COLUMNS, LEAK_COLUMN}) - {"class_name", "num_missing"}


def sample_columns(values: Mapping[str, Any], entries: Iterable[Entry]) -> set[str] | None:
    """Return the columns of the sample table of a recipe, None where they cannot be known yet."""
    data = values.get("data")
    modality = data.get("modality") if isinstance(data, Mapping) else None
    classes = {"class_name"} if values.get("task") != "regression" else set()
    try:
        description = registry().find(ModalityKind, str(modality)).load("description")
    except KindError:  # the recipe's own check reports it
        return None
    if not description.SHOWS_DATA:
        return {*OF_ALL, *classes, *description.COLUMNS}
    columns: set[str] = set()
    for entry in entries:
        names = file_columns(entry)
        if names is None:
            return None
        options: Any = entry.options
        not_used = (options.label, *(options.drop or ()), *options.belonging)
        used = [name for name in names if name not in not_used]
        columns |= {name_in_sample_table(name) for name in used}
    return {*OF_ALL, *classes, *SAMPLE_COLUMNS, *columns} if columns else None


def file_columns(entry: Entry) -> list[str] | None:
    """Return the columns of the file of rows that ``entry`` reads, None where it reads none or they are not known."""
    return find_columns(entry.options) if isinstance(entry.options, RowOptions) and not entry.to_fetch else None


def named_columns(values: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield each column that the contract and the slices of a recipe name, with its place in the recipe."""
    data, selection = (values.get(name) for name in ("data", "selection"))
    contract = data.get("contract") if isinstance(data, Mapping) else None
    for index, line in enumerate(contract if isinstance(contract, list) else ()):
        for name, arguments in line.items() if isinstance(line, Mapping) else ():
            if isinstance(arguments, Mapping):
                yield from (
                    (("data", "contract", index, str(name), key), column)
                    for key, column in _of_expectation(str(name), arguments)
                )
    slices = selection.get("slices") if isinstance(selection, Mapping) else None
    by = slices.get("by") if isinstance(slices, Mapping) else None
    for index, column in enumerate(by if isinstance(by, (list, tuple)) else ()):
        if isinstance(column, str):
            yield ("selection", "slices", "by", index), column


def _of_expectation(name: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for column in columns_named(name, dict(arguments)):
        if isinstance(column, str):
            yield next(key for key, value in arguments.items() if column == value or key == "column_list"), column
    yield from (("row_condition", each.column) for each in comparisons(arguments.get("row_condition")))
