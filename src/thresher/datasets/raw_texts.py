"""Texts with their labels: lines, or two columns of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thresher.datasets.raw_base import Mistakes, RawSamples, describe_arguments, fix_missing, read_lines
from thresher.datasets.raw_frame import CsvFormat, read_frame, refuse_unreadable
from thresher.datasets.raw_labels import check_class_names, label_samples
from thresher.datasets.raw_split import Split
from thresher.errors import DataError
from thresher.modalities.samples import Samples

FIX_TEXT = "write the text, or remove the line."


class LabeledLines(RawSamples):
    """A text file with one sample a line: the label, a blank, the text. TREC and SST-2 come so."""

    def __init__(
        self,
        *,
        file: str,
        path: str = ".",
        encoding: str = "utf-8",
        class_names: list[str] | dict[str, str] | None = None,
        regression: bool = False,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the file; nothing is read yet.

        Args:
            file: relative to ``path``. Empty lines are skipped.
            path: its folder; Kedro makes it absolute from the project's folder.
            encoding: of the file.
            class_names: a list (labels name or count them), a mapping of label to name, or None for those found.
            regression: labels are numbers.
            split: "train" or "test", together with ``test_share``; None takes all.
            test_share: the share (of each class) that goes to test.
            seed: of the split; the same in the entries of train and test.
            fetch: the name by which ``thresher fetch`` knows this data.
            metadata: ignored here; Kedro's plugins read it.

        Raises:
            DataError: arguments out of range.
        """
        self._arguments = describe_arguments(locals())
        self.paths = (Path(path) / file,)
        self._encoding, self._regression = encoding, regression
        self._class_names, self._fix = check_class_names(class_names, regression), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        (path,) = self.paths
        texts, labels, places, mistakes = [], [], [], Mistakes()
        for number, line in enumerate(read_lines(path, self._encoding, self._fix), start=1):
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
        named = label_samples(raw, self._class_names, self._regression, where)
        return Samples(np.array(texts, dtype=object), *named, where)


class TextTable(RawSamples):
    """CSV, JSON Lines or Parquet with a column of texts and one of labels."""

    def __init__(
        self,
        *,
        file: str,
        path: str = ".",
        text: str = "text",
        label: str = "label",
        header: bool = True,
        columns: list[str] | None = None,
        delimiter: str = ",",
        encoding: str = "utf-8",
        class_names: list[str] | dict[str, str] | None = None,
        regression: bool = False,
        split: Split | None = None,
        test_share: float | None = None,
        seed: int = 0,
        fetch: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Name the file and its columns; nothing is read yet.

        Args:
            text: the column of texts.
            label: the column of labels.
            header: whether a CSV file begins with the names of its columns.
            columns: their names, where it does not.
            delimiter: between the values of a CSV file; "\\t" for tabs.

        The others are those of ``LabeledLines``.
        """
        self._arguments = describe_arguments(locals())
        self.paths = (Path(path) / file,)
        self._text, self._label, self._regression = text, label, regression
        self._format = CsvFormat(header, columns, delimiter, encoding)
        self._class_names, self._fix = check_class_names(class_names, regression), fix_missing(fetch)
        self._choose_part(split, test_share, seed)

    def _read(self) -> Samples:
        (path,) = self.paths
        frame = read_frame(path, self._format, self._fix)
        texts, labels = frame.column(self._text, "the texts"), frame.column(self._label, "the labels")
        refuse_unreadable(frame, [self._text, self._label])
        if texts.dtype != np.object_:
            raise DataError(f"{path}: column '{self._text}' holds numbers. Fix: name the column of texts as 'text'.")
        mistakes = Mistakes()
        for place, text in zip(frame.places, texts, strict=True):
            if text is None or not text.strip():
                mistakes.add(f"{path.parent / place}", f"no text in column '{self._text}'", FIX_TEXT)
        mistakes.refuse()
        return Samples(texts, *label_samples(labels, self._class_names, self._regression, frame.places), frame.places)
