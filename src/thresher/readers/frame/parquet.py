"""Reads Parquet as Arrow columns, without what pandas calls its index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from thresher.errors import DataError
from thresher.readers.base import number_places
from thresher.readers.frame.files import read_content
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.names import check_names


def read_parquet(path: Path, fix: str, names: list[str] | None = None) -> Frame:
    """Return the columns of the Parquet file at ``path``, under ``names`` where given.

    Raises:
        DataError: no such file, damaged, another number of names, columns of one name.
    """
    table = read_parquet_table(path, fix)
    found = names or table.column_names
    if len(found) != table.num_columns:
        told = f"{table.num_columns} columns, but {len(found)} names in 'columns' of the catalog"
        raise DataError(f"{path}: {told}. Fix: one name a column: {', '.join(table.column_names)[:500]}.")
    columns = [column.combine_chunks() for column in table.columns]
    named, unusable = check_names(path, found, columns)
    index = pandas_index(table) if names is None else ()
    unusable = {name: why for name, why in unusable.items() if name not in index}
    return Frame(named, number_places(path, table.num_rows), path, unusable=unusable, index=index)


def read_parquet_table(path: Path, fix: str) -> Any:
    """Return the Arrow table in the Parquet file at ``path``; raises DataError where it cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    content = read_content(path, fix)
    try:
        # Not read_table, which cannot tell columns of one name apart.
        return parquet.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}). Fix: {fix}") from error


def pandas_index(table: Any) -> tuple[str, ...]:
    """Return the columns that hold an index of pandas, by what it has written beside the schema.

    https://pandas.pydata.org/docs/development/developer.html: `index_columns` are names, or describe a range.
    """
    try:
        described = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        return ()
    return tuple(name for name in described if isinstance(name, str) and name in table.column_names)
