"""Texts with their labels: lines, or two columns of a table."""

from __future__ import annotations

import numpy as np

from thresher.datasets.raw_base import Mistakes, RawSamples, read_lines
from thresher.datasets.raw_frame import CsvFormat, CsvOptions, read_frame, refuse_unreadable
from thresher.datasets.raw_labels import LabelOptions, label_samples
from thresher.datasets.raw_split import SplitOptions
from thresher.datasets.reader_options import Column, Encoding, File, FileOptions
from thresher.errors import DataError
from thresher.modalities.samples import Samples

FIX_TEXT = "write the text, or remove the line."


class LabeledLinesOptions(FileOptions, LabelOptions, SplitOptions):
    """Of `LabeledLines`."""

    file: File
    """Relative to `path`. Empty lines are skipped."""
    encoding: Encoding = "utf-8"
    """Of the file."""


class LabeledLines(RawSamples[LabeledLinesOptions]):
    """A text file with one sample a line: the label, a blank, the text. TREC and SST-2 come so."""

    options_type = LabeledLinesOptions

    def _read(self) -> Samples:
        (path,), options = self.paths, self.options
        texts, labels, places, mistakes = [], [], [], Mistakes()
        for number, line in enumerate(read_lines(path, options.encoding, self._fix), start=1):
            label, text = (*line.split(None, 1), "", "")[:2]
            if label and not text:
                mistakes.add(f"{path}:{number}", f"label '{label[:60]}' without a text", FIX_TEXT)
            elif label:
                texts.append(text.strip())
                labels.append(label)
                places.append(f"{path.name}:{number}")
        mistakes.refuse()
        if not texts:
            raise DataError(f"{path}: holds no lines. Fix: {self._fix}")
        where, raw = np.array(places, dtype=object), np.array(labels, dtype=object)
        named = label_samples(raw, options.classes, options.regression, where)
        return Samples(np.array(texts, dtype=object), *named, where)


class TextTableOptions(CsvOptions, LabelOptions, SplitOptions):
    """Of `TextTable`."""

    file: File
    """Relative to `path`; .parquet and .jsonl by their suffix, anything else is CSV."""
    text: Column = "text"
    """The column of texts."""
    label: Column = "label"
    """The column of labels."""


class TextTable(RawSamples[TextTableOptions]):
    """CSV, JSON Lines or Parquet with a column of texts and one of labels."""

    options_type = TextTableOptions

    def _read(self) -> Samples:
        (path,), options = self.paths, self.options
        form = CsvFormat(options.header, options.columns, options.delimiter, options.encoding)
        frame = read_frame(path, form, self._fix)
        texts, labels = frame.column(options.text, "the texts"), frame.column(options.label, "the labels")
        refuse_unreadable(frame, [options.text, options.label])
        if texts.dtype != np.object_:
            raise DataError(f"{path}: column '{options.text}' holds numbers. Fix: name the column of texts as 'text'.")
        mistakes = Mistakes()
        for place, text in zip(frame.places, texts, strict=True):
            if text is None or not text.strip():
                mistakes.add(f"{path.parent / place}", f"no text in column '{options.text}'", FIX_TEXT)
        mistakes.refuse()
        return Samples(texts, *label_samples(labels, options.classes, options.regression, frame.places), frame.places)
