"""Texts with their labels: lines, or two columns of a table."""

from __future__ import annotations

import numpy as np

from thresher.errors import DataError
from thresher.modalities.samples import Samples
from thresher.readers.base import Mistakes, RawSamples
from thresher.readers.frame.files import read_lines
from thresher.readers.frame.values import as_texts, is_textual
from thresher.readers.group_and_order import BelongingOptions, SideFileOptions, read_belonging_columns
from thresher.readers.labels import LabelOptions
from thresher.readers.options import Column, Encoding, File
from thresher.readers.row_options import NumberOptions, RowOptions, read_column

OF_FASTTEXT = "__label__"
"""What fastText writes before each label of a line."""
FIX_LABEL = "keep one label a line: a sample has one class."
FIX_TEXT = "write the text, or remove the line."


class LabeledLinesOptions(LabelOptions, SideFileOptions):
    """Options of `LabeledLines`."""

    file: File
    """Relative to `path`; may be compressed as .gz, .zst or .bz2. Empty lines are skipped."""
    encoding: Encoding = "utf-8"
    """The encoding of the file."""


class LabeledLines(RawSamples[LabeledLinesOptions]):
    """A text file with one sample a line: the label, a blank, the text. TREC and SST-2 come so."""

    options_type = LabeledLinesOptions
    modality = "text"

    def _read(self) -> Samples[np.ndarray]:
        path, options = self.paths[0], self.options
        texts, labels, places, mistakes = [], [], [], Mistakes()
        for number, line in enumerate(read_lines(path, options.encoding, self._fix), start=1):
            label, text = (*line.split(None, 1), "", "")[:2]
            if label and not text:
                mistakes.add(f"{path}:{number}", f"label '{label[:60]}' without a text", FIX_TEXT)
            elif label.startswith(OF_FASTTEXT) and text.startswith(OF_FASTTEXT):
                mistakes.add(f"{path}:{number}", f"two labels, '{label[:60]}' and '{text[:60].split()[0]}'", FIX_LABEL)
            elif label:
                texts.append(text.strip())
                labels.append(label)
                places.append(f"{path.name}:{number}")
        mistakes.refuse()
        if not texts:
            raise DataError(f"{path}: holds no lines. Fix: {self._fix}")
        where, raw = np.array(places, dtype=object), np.array(labels, dtype=object)
        named = options.to_labels(raw, where)
        belonging = options.read_belonging(len(texts), options.missing_values)
        return Samples(np.array(texts, dtype=object), *named, where, *belonging)


class TextTableOptions(RowOptions, NumberOptions, LabelOptions, BelongingOptions):
    """Options of `TextTable`."""

    text: Column = "text"
    """The column of texts."""
    label: Column = "label"
    """The column of labels."""


class TextTable(RawSamples[TextTableOptions]):
    """A CSV, JSON or Parquet file with a column of texts and one of labels."""

    options_type = TextTableOptions
    modality = "text"

    def _read(self) -> Samples[np.ndarray]:
        (path,), options = self.paths, self.options
        frame = options.read_rows(path, self._fix)
        column = read_column(frame, options.text, "the texts", "name the column of texts as 'text'.")
        labels = read_column(frame, options.label, "the labels", "make it text or numbers.")
        if not is_textual(column.type) and column.null_count < len(column):
            fix = "Fix: name the column of texts as 'text'."
            raise DataError(f"{path}: column '{options.text}' holds {column.type}, no texts. {fix}")
        texts, mistakes = as_texts(column, options.missing_values), Mistakes()
        for place, text in zip(frame.places, texts, strict=True):
            if text is None or not text.strip():
                mistakes.add(f"{path.parent / place}", f"no text in column '{options.text}'", FIX_TEXT)
        mistakes.refuse()
        named = options.to_labels(labels, frame.places, options.number_format)
        belonging = read_belonging_columns(frame, options, options.missing_values, numbers=options.number_format)
        return Samples(texts, *named, frame.places, *belonging)
