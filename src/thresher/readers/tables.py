"""Tables with a label: CSV, JSON and Parquet."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from thresher.modalities.samples import Samples
from thresher.modalities.tabular.table import Table
from thresher.readers.base import RawSamples
from thresher.readers.column_types import ColumnTypes, choose_columns, type_columns
from thresher.readers.frame.dates import ISO
from thresher.readers.group_and_order import BelongingOptions, read_belonging_columns
from thresher.readers.labels import LabelOptions
from thresher.readers.options import Column, Columns, RefusedError, Says
from thresher.readers.row_options import NumberOptions, RowOptions, read_column


def _known_format(form: str) -> str:
    if form != ISO and "%" not in form:
        raise RefusedError(f"'{form}' given", "Fix: iso, or a format such as '%d.%m.%Y' or '%m/%d/%Y %H:%M'.")
    return form


DateFormat = Annotated[str, AfterValidator(_known_format), Says("iso, or a format such as '%d.%m.%Y'")]
Dates = Annotated[dict[Column, DateFormat], Says("a mapping of columns to formats, such as {bought: '%d.%m.%Y'}")]


class TableFileOptions(RowOptions, NumberOptions, LabelOptions, BelongingOptions):
    """Options of `TableFile`."""

    label: Column
    """The column to predict."""
    drop: Columns | None = None
    """Columns that are not used. One without a name is called by its number: `column 1`."""
    numeric: Columns | None = None
    """Columns of numbers; without it those where nearly every value is one."""
    categorical: Columns | None = None
    """Columns of categories, also where they hold or look like numbers or dates, or are nearly all distinct."""
    dates: Dates = Field(default={})
    """Columns of dates, each with its format: `iso` for ISO 8601, or one of Python's strptime, such as "%d.%m.%Y". A
    date becomes the number of days since 1970-01-01 UTC, a time of day without a date the part of a day."""


class TableFile(RawSamples[TableFileOptions]):
    """A CSV, JSON or Parquet file of which one column is the label."""

    options_type = TableFileOptions
    modality = "tabular"

    def _read(self) -> Samples[Table]:
        """Return the rows as a Table, in the order of the columns in the file."""
        (path,), options = self.paths, self.options
        frame = options.read_rows(path, self._fix)
        # What samples are divided by is not a feature; the format of its dates may be said all the same.
        dates = {name: form for name, form in options.dates.items() if name != options.order}
        types = ColumnTypes(
            tuple(options.numeric or ()),
            tuple(options.categorical or ()),
            dates,
            options.number_format,
            options.missing_values,
        )
        label = read_column(frame, options.label, "the label", "make it text or numbers.")
        form = options.dates.get(options.order or "", ISO)
        groups, order = read_belonging_columns(frame, options, types.missing, form, options.number_format)
        not_used = (*(options.drop or ()), *options.belonging)
        used = choose_columns(frame, options.label, not_used, types.declared)
        named = options.to_labels(label, frame.places, options.number_format)
        return Samples(type_columns(frame, used, types), *named, frame.places, groups, order)
