"""Reads a file of rows by its name: CSV, JSON Lines, an array of JSON objects, or Parquet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from thresher.errors import DataError
from thresher.readers.frame.delimited import CsvFormat, read_separated
from thresher.readers.frame.files import format_of
from thresher.readers.frame.frame import Frame
from thresher.readers.frame.json_rows import read_json
from thresher.readers.frame.parquet import read_parquet


def read_frame(path: Path, form: CsvFormat, fix: str) -> Frame:
    """Return the columns of the file at ``path``; what has no suffix of JSON or Parquet is read as CSV.

    Raises:
        DataError: no such file, damaged, rows of unequal length, columns of one name, no rows.
    """
    kind = format_of(path)
    if kind == "parquet":
        frame = read_parquet(path, fix, list(form.names) if form.names is not None else None)
    elif kind in ("json", "json lines"):
        frame = read_json(path, form.encoding, fix, lines=kind == "json lines")
    else:
        delimiter = form.delimiter or ("\t" if kind == "tsv" else ",")
        frame = read_separated(path, replace(form, delimiter=delimiter), fix)
    if not len(frame.places):
        raise DataError(f"{path}: holds no rows. Fix: {fix}")
    return frame
