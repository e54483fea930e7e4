"""Reads .ts, the text format of the UCR and UEA archives of time series.

https://www.aeon-toolkit.org/en/latest/api_reference/file_specifications/ts.html: comments begin with #, a header of
lines with @, then after @data one sample a line: channels divided by colons, values by commas, the label last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from thresher.errors import DataError
from thresher.readers.base import Mistakes
from thresher.readers.frame.files import read_lines
from thresher.readers.frame.values import changes
from thresher.readers.warn_once import warn

FIX_LINE = "correct or remove the line."
MISSING = "?"


@dataclass(frozen=True)
class TsFile:
    """What a .ts file holds.

    Attributes:
        series: dtype object, each float64 [T, C], NaN where a value is missing.
        labels: what the file says of each, dtype object, None where missing.
        class_names: of @classLabel; empty for a regression, which @targetLabel is.
        places: such as `JapaneseVowels_TEST.ts:17`.
    """

    series: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    places: np.ndarray


def read_ts(path: Path, fix: str) -> TsFile:
    """Return the series in the file at ``path``.

    Raises:
        DataError: no such file, a header without classes or targets, timestamps, a series of length 0, channels of
            unequal length or number, what is not a number; with the first lines.
    """
    lines = read_lines(path, "utf-8", fix)
    header, first = _read_header(path, lines, fix)
    class_names = _class_names(path, header)
    series, labels, places, mistakes = [], [], [], Mistakes()
    num_channels = 0
    for number, line in enumerate(lines[first:], start=first + 1):
        if not line.strip() or line.startswith("#"):
            continue
        *channels, label = line.strip().split(":")
        num_channels = num_channels or len(channels)
        try:
            series.append(_read_series(channels, num_channels))
        except ValueError as error:
            mistakes.add(f"{path}:{number}", str(error), FIX_LINE)
            continue
        labels.append(None if label.strip() in ("", MISSING) else label.strip())
        places.append(f"{path.name}:{number}")
    mistakes.refuse()
    if not series:
        raise DataError(f"{path}: holds no series. Fix: {fix}")
    _warn_of_header(path, header, series)
    return TsFile(as_objects(series), np.array(labels, dtype=object), class_names, np.array(places, dtype=object))


@dataclass(frozen=True)
class TsHead:
    """What stands before the samples of a .ts file.

    Attributes:
        num_lines: up to @data.
        has_labels: whether a label is the last part of each line.
    """

    num_lines: int
    has_labels: bool


def read_head(path: Path, lines: Iterable[str]) -> TsHead:
    """Return what the first ``lines`` of the file at ``path`` say; it may have no labels.

    Raises:
        DataError: there is no line @data, something else before it, or the series have times of their own.
    """
    head = []
    for line in lines:
        head.append(line)
        if line.strip().lower().startswith("@data"):
            break
    header, num_lines = _read_header(path, head, "write one, with the header before it.")
    has_labels = any(header.get(key, ["false"])[:1] == ["true"] for key in ("classlabel", "targetlabel"))
    if has_labels or header.get("timestamps", ["false"])[:1] == ["true"]:
        _class_names(path, header)
    return TsHead(num_lines, has_labels)


def read_line(line: str, has_label: bool) -> tuple[np.ndarray, str | None]:
    """Return the series of a line, float64 [T, C], and its label; raises ValueError, with why, for what is none."""
    *channels, label = line.strip().split(":") if has_label else (*line.strip().split(":"), "")
    return _read_series(channels, len(channels)), None if label.strip() in ("", MISSING) else label.strip()


def as_objects(series: Iterable[np.ndarray]) -> np.ndarray:
    """Return arrays, of one shape or of many, as one array of dtype object [N]."""
    listed = list(series)
    objects = np.empty(len(listed), dtype=object)
    for index, one in enumerate(listed):
        objects[index] = one
    return objects


def _read_header(path: Path, lines: list[str], fix: str) -> tuple[dict[str, list[str]], int]:
    """Return the values of each key of the header, keys in small letters, and the index of the first line of data."""
    header: dict[str, list[str]] = {}
    for index, line in enumerate(lines):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not words[0].startswith("@"):
            raise DataError(
                f"{path}:{index + 1}: '{line[:40]}' before @data. Fix: a header of lines that begin with @."
            )
        if words[0].lower() == "@data":
            return header, index + 1
        key, *values = words
        # Names of classes keep their case, truths do not.
        header[key[1:].lower()] = [word.lower() if word.lower() in ("true", "false") else word for word in values]
    raise DataError(f"{path}: no line @data. Fix: {fix}")


def _class_names(path: Path, header: dict[str, list[str]]) -> tuple[str, ...]:
    if header.get("timestamps", ["false"])[:1] == ["true"]:
        raise DataError(
            f"{path}: @timestamps true, but series with times of their own are not read. "
            "Fix: bring them to equal steps, and write @timestamps false."
        )
    flag, *names = header.get("classlabel", ["false"])
    if flag == "true" and names:
        return tuple(names)
    if header.get("targetlabel", ["false"])[:1] == ["true"]:
        return ()
    raise DataError(f"{path}: neither classes nor targets. Fix: '@classLabel true NAME NAME' or '@targetLabel true'.")


def _warn_of_header(path: Path, header: dict[str, list[str]], series: list[np.ndarray]) -> None:
    """Log where the header says another number of channels or steps than the series have: one of both is wrong."""
    channels, lengths = series[0].shape[1], {len(one) for one in series}
    said = {key: values[0] for key, values in header.items() if values}
    dimensions = said.get("dimensions") or said.get("dimension", "1" if said.get("univariate") == "true" else "")
    if dimensions.isdecimal() and int(dimensions) != channels:
        warn(path, f"the header says {dimensions} channels, and the series have {channels}, which is what counts")
    length = said.get("serieslength", "")
    if said.get("equallength") == "true" and (len(lengths) > 1 or (length.isdecimal() and {int(length)} != lengths)):
        told = f"{min(lengths):,} to {max(lengths):,}" if len(lengths) > 1 else f"{min(lengths):,}"
        warn(path, f"the header says series of one length, {length or 'not which'}; they have {told} steps")


def _read_series(channels: list[str], num_channels: int) -> np.ndarray:
    """Return one series float64 [T, C]; raises ValueError, with the reason, for what is none."""
    if not channels:
        raise ValueError("no colon between the series and its label")
    if len(channels) != num_channels:
        raise ValueError(f"{len(channels)} channels, but {num_channels} in the lines before")
    values = [channel.split(",") if channel.strip() else [] for channel in channels]
    lengths = {len(steps) for steps in values}
    if 0 in lengths:
        raise ValueError("a series of length 0")
    if len(lengths) > 1:
        raise ValueError(f"channels of unequal length ({', '.join(map(str, sorted(lengths)))} steps)")
    if "(" in channels[0]:
        raise ValueError("values with timestamps, which are not read")
    try:
        numbers = np.array([[_number(step) for step in steps] for steps in values], dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"what is not a number ({error})") from error
    series = np.ascontiguousarray(numbers.T)
    if np.isinf(series).any():
        raise ValueError("an infinite or too large number")
    return series


def _number(text: str) -> float:
    if "_" in text:  # which Python takes for a separator of thousands
        raise ValueError(f"could not convert string to float: {text!r}")
    if text.strip() == MISSING:
        return np.nan
    if changes(text):
        raise ValueError(f"a 64-bit float cannot represent {text.strip()[:60]} exactly")
    return float(text)
