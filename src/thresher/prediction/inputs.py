"""From a file or folder of new data to encoded samples: read as the catalog entry of the test data says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thresher.errors import DataError, InvalidInputError, nearest
from thresher.modalities.encoder import Encoder
from thresher.modalities.tabular.columns import EXACT, NumericColumn, category_text
from thresher.prediction.csv_blocks import CsvSource
from thresher.prediction.items import encode_each, encode_picture, encode_series, encode_texts, encode_value
from thresher.prediction.piece import Columns, Content, Items, Source
from thresher.prediction.rows import RowEncoder, Written, read_number, say_number
from thresher.prediction.sources import FIRST_ROWS, JsonSource, LineSource, ParquetSource, PictureSource
from thresher.prediction.streams import open_binary
from thresher.prediction.truth import LabelReader
from thresher.prediction.where import Condition, as_column, select
from thresher.readers.frame.delimited import CsvFormat
from thresher.readers.frame.files import format_of
from thresher.readers.frame.numbers import PLAIN
from thresher.readers.frame.values import NOTHING, as_texts
from thresher.readers.image_folder import SUFFIXES
from thresher.readers.texts import OF_FASTTEXT
from thresher.readers.ts_format import read_head, read_line
from thresher.serving.core.errors import RequestError
from thresher.serving.core.strict_json import parse_json

TAKES = {
    "tabular": "rows: a CSV, Parquet or JSON Lines file",
    "text": "texts: a CSV, Parquet or JSON Lines file with a column of them, or a .txt file with one a line",
    "image": "images: a folder of PNG or JPEG files, or a Parquet file with a column of them",
    "series": "series: a .ts file, or a Parquet file with a column of lists for each channel",
}
FOREIGN = {"tabular": (".ts",), "text": (".ts",), "image": (), "series": ()}
"""Modality -> suffixes that are another's, and would be read as CSV."""


@dataclass(frozen=True)
class Wanted:
    """What the user asks for of a file.

    Attributes:
        id: the column that says what each sample is called.
        drop: columns that are not used.
        where: conditions on columns; rows for which one does not hold are left out.
    """

    id: str | None = None
    drop: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Made:
    """The samples of a piece, encoded.

    Attributes:
        samples: [M, ...], those that get an answer.
        rows: which of the piece's they are, int64 [M].
        truth: their labels, see `LabelReader`; None where there are none.
        ids: what they are called, an Arrow array [M]; None where they are called by their numbers.
        rejected: those that get none: (index in the piece, reason).
        left_out: how many --where leaves out.
        raw: the sample number `index` of ``samples`` as the service would be sent it, for an explanation.
    """

    samples: np.ndarray
    rows: np.ndarray
    truth: np.ndarray | None
    ids: Any | None
    rejected: list[tuple[int, str]]
    left_out: int
    raw: Callable[[int], Any]


class Input:
    """New data and how it is encoded.

    Args:
        options: of the reader of the test data; what they do not say is as a reader has it by default.

    Raises:
        DataError: no such file, one of another modality, an empty one, columns that are missing or unknown.
    """

    def __init__(self, path: Path, encoder: Encoder, options: Any, wanted: Wanted) -> None:
        self.path, self._encoder, self._options, self._wanted = path, encoder, options, wanted
        self._modality = str(encoder.kind)
        self._missing = getattr(options, "missing_values", NOTHING)
        self._form = getattr(options, "number_format", PLAIN)
        self._truth = LabelReader(encoder, options, self._missing, self._form)
        self.source = self._open()
        self._names = self.source.names
        self._check_names()
        self._first = self._read_first()
        self._check_id()
        for condition, column in zip(wanted.where, self._compared(self._first), strict=True):
            condition.refuse_texts(column, self._missing, self._form)

    @property
    def label(self) -> str | None:
        """The column of labels, where the file has it."""
        name, names = self._label_name, self.source.names
        return name if name and names is not None and name in names else None

    @property
    def size(self) -> int:
        """What `Piece.bytes_read` comes to at the end."""
        return self.source.size if isinstance(self.source, PictureSource) else self.path.stat().st_size

    def make(self, content: Content) -> Made:
        """Return the samples of a piece, encoded."""
        found, rejected, all_rows = content.found, list(content.rejected), len(content.found.rows)
        found, unclear = self._select(found)
        rejected += unclear
        left_out = all_rows - len(found.rows) - len(unclear)
        samples, kept, wrong = self._encode(found)
        rejected += [(int(found.rows[index]), reason) for index, reason in wrong]
        return Made(
            samples,
            found.rows[kept],
            self._read_truth(found, kept),
            self._read_ids(found, kept),
            sorted(rejected),
            left_out,
            lambda index: self._raw(found, int(kept[index])),
        )

    def _read_first(self) -> Columns | Items:
        first = next(iter(self.source.pieces(FIRST_ROWS)), None)
        if first is None:
            raise DataError(f"{self.path}: holds no samples. Fix: name a file with samples.")
        found: Columns | Items = first.parse().found
        if isinstance(found, Items) and type(self.source) is LineSource and self._modality == "text":
            begin = [str(text).split(None, 1)[0] for text in found.values if text]
            if begin and all(self._truth.knows(word.removeprefix(OF_FASTTEXT)) for word in begin):
                told = f"each line begins with a label, such as '{begin[0]}'; lines of new data are texts alone"
                raise DataError(
                    f"{self.path}: {told}. Fix: remove the labels, or write CSV with columns of texts and of labels."
                )
        return found

    def _open(self) -> Source:
        if not self.path.exists():
            raise DataError(f"{self.path}: no such file or folder. Fix: correct --in.")
        if self.path.is_dir():
            if self._modality != "image":
                raise self._wrong("a folder")
            return PictureSource(self.path, self._encoder.class_names)
        suffix = Path(self.path.name.lower().removesuffix(".gz").removesuffix(".zst").removesuffix(".bz2")).suffix
        if suffix in SUFFIXES:
            one = "one picture" + ", which `thresher predict RECIPE FILE` answers" * (self._modality == "image")
            raise self._wrong(one)
        if not self.path.stat().st_size:
            raise DataError(f"{self.path}: the file is empty. Fix: name a file with samples.")
        kind = format_of(self.path)
        if kind == "json":
            fix = "write JSON Lines, one object a line"
            raise DataError(f"{self.path}: one JSON document, which cannot be read in parts. Fix: {fix}.")
        if suffix == ".ts" and self._modality == "series":
            return self._open_ts()
        return self._open_rows(kind, suffix)

    def _open_rows(self, kind: str, suffix: str) -> Source:
        options = self._options
        if suffix in FOREIGN[self._modality] or (kind != "parquet" and self._modality in ("image", "series")):
            raise self._wrong(f"a file of {'series' if suffix == '.ts' else kind}")
        if kind == "parquet":
            return ParquetSource(self.path, getattr(options, "columns", None))
        encoding = getattr(options, "encoding", "utf-8")
        if kind == "json lines":
            return JsonSource(self.path, encoding, self._read_documents)
        if kind == "csv" and self._modality == "text" and self._is_of_lines(suffix):
            return LineSource(self.path, encoding, self._read_texts)
        return CsvSource(self.path, self._csv_format(kind), self._label_name or "")

    def _is_of_lines(self, suffix: str) -> bool:
        """Return whether a file holds one text a line: where it is not written as the test data's table of texts."""
        if not hasattr(self._options, "text"):
            return suffix != ".csv"
        return suffix == ".txt" and Path(self._options.file).suffix.lower() != suffix

    def _read_texts(self, lines: list[bytes]) -> Items:
        texts = [line.decode("utf-8", "surrogateescape").strip() for line in lines]
        return Items(texts, np.arange(len(texts)))

    def _csv_format(self, kind: str) -> CsvFormat:
        options, delimiter = self._options, "\t" if kind == "tsv" else ","
        if not hasattr(options, "skip_lines_starting_with"):
            return CsvFormat(delimiter=delimiter)
        return CsvFormat(
            header=options.header,
            names=options.columns,
            delimiter=options.delimiter or delimiter,
            quote=None if options.quote == "none" else options.quote,
            encoding=options.encoding,
            comment=options.skip_lines_starting_with,
            strip=options.strip,
        )

    def _open_ts(self) -> Source:
        with open_binary(self.path, "utf-8") as stream:
            head = read_head(self.path, (line.decode("utf-8", "replace") for line in stream.file))

        def read(lines: list[bytes]) -> Items:
            values, labels = zip(*(_read_series(line, head.has_labels) for line in lines), strict=True)
            return Items(list(values), np.arange(len(lines)), list(labels) if head.has_labels else None)

        return LineSource(self.path, "utf-8", read, head.num_lines, b"#")

    def _read_documents(self, lines: list[bytes]) -> Items:
        values = [_parse(line) for line in lines]
        label = self._label_name
        labels = [_text_of(value, label) for value in values] if label else None
        names = [_called(_value_of(value, self._wanted.id)) for value in values] if self._wanted.id else None
        return Items(values, np.arange(len(lines)), labels, names)

    @property
    def _label_name(self) -> str | None:
        return getattr(self._options, "label", None) or (None if self._modality == "tabular" else "label")

    @cached_property
    def _unused(self) -> set[str | None]:
        """The columns that no sample is made of, and that may be there."""
        options, wanted = self._options, self._wanted
        of_entry = (*(getattr(options, "drop", None) or ()), *getattr(options, "belonging", ()))
        return {self._label_name, wanted.id, *wanted.drop, *of_entry}

    @cached_property
    def _needed(self) -> list[str]:
        """The columns that samples are made of."""
        if self._modality == "tabular":
            return [column.name for column in self._encoder.columns]  # type: ignore[attr-defined]
        if self._modality == "series":
            return list(getattr(self._options, "channels", ()) or self._encoder.channel_names)  # type: ignore[attr-defined]
        return [getattr(self._options, self._modality, self._modality)]

    def _check_names(self) -> None:
        """Raise a DataError where the columns are not those of training; names of columns that are not there."""
        names, wanted = self._names, self._wanted
        asked = {
            "--id": [wanted.id] if wanted.id else [],
            "--drop": list(wanted.drop),
            "--where": [condition.column for condition in wanted.where],
        }
        if names is None:
            if option := next((option for option, given in asked.items() if given), None):
                raise DataError(f"{option}: {self.path} has no columns. Fix: leave it out.")
            return
        for option, given in asked.items():
            if missing := next((name for name in given if name not in names), None):
                raise DataError(f"{option}: {self.path} has no column '{missing}'. {nearest(missing, names)}")
        if used := next((name for name in wanted.drop if name in self._needed), None):
            raise DataError(f"--drop: '{used}' is a column that the model was trained with. Fix: name another one.")
        if lost := [name for name in self._needed if name not in names]:
            told = f"{self.path}: no column {', '.join(map(repr, lost[:10]))}, which the model was trained with"
            raise DataError(f"{told}. {self._why_lost(lost, names)}")
        if self._modality == "tabular":
            self._refuse_unknown(names)
        if isinstance(self.source, ParquetSource):
            self.source.only({*self._needed, self.label or "", *(name for given in asked.values() for name in given)})

    def _why_lost(self, lost: list[str], names: list[str]) -> str:
        """Return what to do where columns ``lost`` are not there."""
        if isinstance(self.source, CsvSource) and self.source.hint:
            return f"Fix: {self.source.hint}"
        if isinstance(self.source, CsvSource) and any(map(PLAIN.read, names)):
            told = f"The first line, '{','.join(names)[:100]}', looks like a row: the file may have no header"
            return f"{told}. Fix: write the columns' names in its first line."
        return nearest(lost[0], (name for name in names if name.strip()))

    @cached_property
    def not_used(self) -> list[str]:
        """The columns that nothing is made of though nobody has said so: those without a name, and beside samples."""
        conditions = {condition.column for condition in self._wanted.where}
        known = {*self._needed, *self._unused, *conditions}
        names = self._names or []
        named = [] if self._modality == "tabular" else [f"'{name}'" for name in names if name and name not in known]
        return named + [f"{place} (it has no name)" for place, name in enumerate(names, start=1) if not name.strip()]

    def _check_id(self) -> None:
        import pyarrow as pa

        if isinstance(self._first, Columns) and self._wanted.id is not None:
            found = self._first.columns[self._wanted.id].type
            value = found.value_type if pa.types.is_dictionary(found) else found
            if pa.types.is_nested(value) or pa.types.is_binary(value) or pa.types.is_large_binary(value):
                fix = "name a column of texts or numbers"
                raise DataError(f"--id: column '{self._wanted.id}' of {self.path} holds {found}. Fix: {fix}.")

    def _refuse_unknown(self, names: list[str]) -> None:
        known = {*self._needed, *self._unused, *(condition.column for condition in self._wanted.where)}
        if unknown := [name for name in names if name.strip() and name not in known]:
            fix = " ".join(f"--drop '{name}'" for name in unknown[:10])
            told = f"{self.path}: column {', '.join(map(repr, unknown[:10]))} is none that the model was trained with"
            raise DataError(f"{told}. Fix: correct its name, leave it out by {fix}, or name it as --id.")

    def _wrong(self, what: str) -> DataError:
        return DataError(
            f"{self.path}: {what}. The champion takes {TAKES[self._modality]}. Fix: name such a one as --in."
        )

    def _select(self, found: Columns | Items) -> tuple[Any, list[tuple[int, str]]]:
        conditions = self._wanted.where
        if not conditions:
            return found, []
        columns = dict(zip((condition.column for condition in conditions), self._compared(found), strict=True))
        kept, unclear = select(conditions, columns, self._missing, self._form)
        return found.take(kept), [(int(found.rows[row]), why) for row, why in unclear]

    def _compared(self, found: Columns | Items) -> list[Any]:
        """Return the column that each of --where compares, as Arrow arrays."""
        names = [condition.column for condition in self._wanted.where]
        if isinstance(found, Columns):
            return [found.columns[name] for name in names]
        return [as_column([_value_of(value, name) for value in found.values]) for name in names]

    def _encode(self, found: Columns | Items) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
        encoder = self._encoder
        if isinstance(found, Columns) and self._modality == "tabular":
            return (
                self._rows.encode(found.columns)
                if len(found.rows)
                else (encoder.model_input.example(0), found.rows, [])
            )
        values = self._values(found)
        if self._modality == "text":
            return encode_texts(values, encoder)
        if self._modality == "image":
            return encode_each(values, encode_picture(encoder, self._picture_size), encoder)
        encode = encode_series(encoder) if self._modality == "series" else encode_value(encoder)
        return encode_each(values, encode, encoder)

    def _values(self, found: Columns | Items) -> list[Any]:
        """Return each sample as the service would be sent it, or what is wrong with it."""
        if isinstance(found, Items):
            if self._modality == "tabular":
                return [self._plain_row(value) for value in found.values]
            if isinstance(self.source, JsonSource):
                return [_needed_of(value, self._needed[0]) for value in found.values]
            return found.values
        columns = [found.columns[name] for name in self._needed]
        if self._modality == "text":
            return list(as_texts(columns[0], self._missing))
        if self._modality == "image":
            values = columns[0].to_pylist()
            return [value.get("bytes") if isinstance(value, dict) else value for value in values]
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        return [_join_channels(steps, self._needed) for steps in rows]

    def _plain_row(self, document: Any) -> Any:
        """Return a row of JSON as the service takes it: without other columns, its texts read as the entry says."""
        if not isinstance(document, dict):
            return document
        unused = {*self._unused, *(condition.column for condition in self._wanted.where)}
        row = {name: value for name, value in document.items() if name in self._needed or name not in unused}
        for column in self._encoder.columns:  # type: ignore[attr-defined]
            if column.name in row:
                row[column.name] = self._plain_value(row[column.name], column)
        return row

    def _plain_value(self, value: Any, column: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        if (isinstance(value, str) and value in self._missing) or value in self._missing.numbers.tolist():
            return None
        if not isinstance(value, str) or not isinstance(column, NumericColumn):
            return value
        number, is_wrong = read_number(value, self._form, self._written.dates.get(column.name) if column.unit else None)
        return say_number(value, self._form) if is_wrong else number

    def _read_truth(self, found: Columns | Items, kept: np.ndarray) -> np.ndarray | None:
        if isinstance(found, Items):
            return None if found.labels is None else self._truth.read([found.labels[index] for index in kept])
        return None if self.label is None else self._truth.read(found.columns[self.label])[kept]

    def _read_ids(self, found: Columns | Items, kept: np.ndarray) -> Any | None:
        import pyarrow as pa

        if isinstance(found, Items):
            return None if found.ids is None else pa.array([found.ids[index] for index in kept], pa.string())
        return None if self._wanted.id is None else found.columns[self._wanted.id].take(pa.array(kept))

    def _raw(self, found: Columns | Items, index: int) -> Any:
        return self._values(found)[index] if self._modality == "text" else None

    @property
    def _picture_size(self) -> tuple[int, int] | None:
        found: tuple[int, int] | None = self._options.image_size() if hasattr(self._options, "background") else None
        return found

    @cached_property
    def _written(self) -> Written:
        return Written(self._form, self._missing, getattr(self._options, "dates", {}))

    @cached_property
    def _rows(self) -> RowEncoder:
        assert isinstance(self._first, Columns)
        return RowEncoder(self._encoder, self._written, self._first.columns)  # type: ignore[arg-type]


def _parse(line: bytes) -> Any:
    """Return the document in a line, or what is wrong with it."""
    try:
        return parse_json(line)
    except RequestError as error:
        return error


def _value_of(document: Any, name: str) -> Any:
    if isinstance(document, Exception):
        return document
    return document.get(name) if isinstance(document, dict) else InvalidInputError("Not a JSON object.")


def _needed_of(document: Any, name: str) -> Any:
    if isinstance(document, dict) and name not in document:
        return InvalidInputError(f"Missing: {name}.")
    return _value_of(document, name)


def _text_of(document: Any, name: str | None) -> str | None:
    value = _value_of(document, name or "")
    return category_text(value) if isinstance(value, str | int | float) else None


def _called(value: Any) -> str:
    """Return what a sample is called, in JSON what has parts; raises a DataError for a number that lost digits."""
    if isinstance(value, float) and not abs(value) <= EXACT:
        raise DataError(f"--id: {value} stands for several numbers, of so many digits. Fix: write them as texts.")
    if value is None or isinstance(value, Exception):
        return ""
    named = category_text(value) if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False)
    return str(named)


def _read_series(line: bytes, has_label: bool) -> tuple[Any, str | None]:
    try:
        return read_line(line.decode("utf-8", "replace"), has_label)
    except ValueError as error:
        return InvalidInputError(f"Not a series: {error}."), None


def _join_channels(channels: tuple[Any, ...], names: list[str]) -> Any:
    """Return the lists of one row as a series float64 [T, C], or what is wrong with them."""
    lengths = [len(steps or ()) for steps in channels]
    if min(lengths) == 0 or min(lengths) != max(lengths):
        told = ", ".join(f"{name} {length}" for name, length in zip(names, lengths, strict=True))
        return InvalidInputError(f"Channels without steps, or of unequal length ({told} steps).")
    return np.array([[np.nan if step is None else step for step in steps] for steps in channels], np.float64).T
