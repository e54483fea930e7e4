"""Samples before and after a corruption, as a person looks at them in the report."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from thresher.config import Config
from thresher.modalities.image.decode import encode_png
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.table import Table

NUM_EXAMPLES = 6
MAX_CHARACTERS, MAX_STEPS, MAX_SIDE = 200, 16, 160
SHOWN_CHANNELS = (1, 3)


class Example(Config):
    """One test sample.

    Attributes hold text, or for pictures a PNG in base64.
    """

    place: str
    before: str
    after: str


class CorruptionExamples(Config):
    """Some of the test samples, before and after."""

    corruption: str
    """What was done to them, in words."""
    are_pictures: bool
    num_changed: int
    """How many of the test samples are not as they were."""
    num_samples: int
    examples: tuple[Example, ...]


def choose_examples(clean: Samples[Any], corrupted: Samples[Any], corruption: str) -> CorruptionExamples:
    """Return samples that the corruption changed, spread over the split, the same in each run."""
    changed = np.flatnonzero([_differs(clean.inputs, corrupted.inputs, index) for index in range(len(clean))])
    places = np.linspace(0, len(changed) - 1, min(NUM_EXAMPLES, len(changed))).round().astype(int)
    pictures = isinstance(clean.inputs, np.ndarray) and clean.inputs.ndim == 4
    shown = _picture if pictures and clean.inputs.shape[1] in SHOWN_CHANNELS else _text
    return CorruptionExamples(
        corruption=corruption,
        are_pictures=shown is _picture,
        num_changed=len(changed),
        num_samples=len(clean),
        examples=tuple(
            Example(
                place=clean.place(index),
                before=shown(clean.inputs, corrupted.inputs, index),
                after=shown(corrupted.inputs, clean.inputs, index),
            )
            for index in changed[places].tolist()
        ),
    )


def _differs(clean: Any, corrupted: Any, index: int) -> bool:
    if isinstance(clean, Table):
        return any(_is_other(clean.columns[name][index], corrupted.columns[name][index]) for name in clean.columns)
    before, after = clean[index], corrupted[index]
    if isinstance(before, np.ndarray):
        return not np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
    return bool(before != after)


def _is_other(before: Any, after: Any) -> bool:
    both_missing = _is_missing(before) and _is_missing(after)
    return not both_missing and bool(before != after)


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _picture(inputs: np.ndarray, other: np.ndarray, index: int) -> str:
    picture = inputs[index]
    step = -(-max(picture.shape[1:]) // MAX_SIDE)
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    return base64.b64encode(encode_png(np.ascontiguousarray(pixels[::step, ::step]))).decode()


def _text(inputs: Any, other: Any, index: int) -> str:
    """Return a sample as text: of a row and a series, what differs."""
    if isinstance(inputs, Table):
        pairs = {name: (column[index], other.columns[name][index]) for name, column in inputs.columns.items()}
        words = ", ".join(f"{name}: {_value(own)}" for name, (own, their) in pairs.items() if _is_other(own, their))
    elif isinstance(inputs[index], np.ndarray):
        words = _steps(inputs[index], other[index])
    else:
        words = str(inputs[index])
    return words if len(words) <= MAX_CHARACTERS else f"{words[:MAX_CHARACTERS]}…"


def _steps(series_TC: np.ndarray, other_TC: np.ndarray) -> str:
    """Return the steps of one channel around the first that differs."""
    if series_TC.shape != other_TC.shape:
        step, channel = 0, 0
    else:
        same = (series_TC == other_TC) | (np.isnan(series_TC) & np.isnan(other_TC))
        step, channel = (int(each) for each in np.argwhere(~same)[0])
    begin = max(0, step - MAX_STEPS // 4)
    values = " ".join(map(_value, series_TC[begin : begin + MAX_STEPS, channel].tolist()))
    return f"channel {channel} from step {begin}: {values}"


def _value(value: Any) -> str:
    if _is_missing(value):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
