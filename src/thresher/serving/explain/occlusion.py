"""What of a sample mattered: the answer to it, less the answers to copies of it that lack a part each.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, for patches of an image; Li,
Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", 2016, for words. Here patches
overlap, and each cell of an image or step of a series has the mean over the patches that cover it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher.modalities.encoder import Encoder
from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.series.encoder import SeriesEncoder
from thresher.modalities.tabular.columns import CategoricalColumn, NumericColumn
from thresher.modalities.tabular.encoder import TabularEncoder
from thresher.modalities.text.encoder import TextEncoder

MAX_COPIES = 256
CELLS_A_PATCH = 3
"""Along each axis."""
MAX_CELLS = 14
"""Of an image, along each axis: (14 + 3 - 1)^2 patches are 256."""
MAX_WINDOWS = 128
"""Of a series; what is left of MAX_COPIES goes to its channels."""
UNKNOWN_TOKEN = 1


@dataclass(frozen=True)
class Occlusion:
    """Copies of one sample that lack a part each, made one by one, and what they tell."""

    num_copies: int
    copy: Callable[[int], np.ndarray]
    """Of an index below num_copies to an encoded sample [1, ...]."""
    tell: Callable[[np.ndarray], dict[str, Any]]
    """Of how much less the answer to each copy is, float [num_copies], to what is said of each part."""


def occlude(encoder: Encoder, sample: np.ndarray, raw: Any) -> Occlusion:
    """Return the copies of ``sample``, encoded [1, ...], at most MAX_COPIES.

    Args:
        raw: the sample before it was encoded, as a JSON document writes it; only of a text is it needed.
    """
    return _OCCLUDE[type(encoder)](encoder, sample, raw)


@dataclass(frozen=True)
class _Axis:
    """An axis cut into cells of one size, the last of which may be shorter, with patches of some cells each.

    Patches begin before the axis and end behind it, so that every cell is covered by as many of them.
    """

    length: int
    max_cells: int

    @property
    def cell(self) -> int:
        return math.ceil(self.length / self.max_cells)

    @property
    def num_cells(self) -> int:
        return math.ceil(self.length / self.cell)

    @property
    def num_patches(self) -> int:
        return self.num_cells + CELLS_A_PATCH - 1

    def patch(self, index: int) -> slice:
        end = (index + 1) * self.cell
        return slice(max(0, end - CELLS_A_PATCH * self.cell), end)


def _mean_over_patches(drops: np.ndarray) -> np.ndarray:
    """Return [cells, ...] of ``drops`` [patches, ...] along each axis."""
    window = (CELLS_A_PATCH,) * drops.ndim
    views = np.lib.stride_tricks.sliding_window_view(drops, window)
    means: np.ndarray = views.mean(axis=tuple(range(drops.ndim, 2 * drops.ndim)))
    return means


def _occlude_image(encoder: ImageEncoder, sample: np.ndarray, raw: Any) -> Occlusion:
    """Patches get the mean color of the training split."""
    rows, columns = _Axis(encoder.height, MAX_CELLS), _Axis(encoder.width, MAX_CELLS)
    color = np.round(encoder.mean).astype(np.uint8)

    def copy(index: int) -> np.ndarray:
        row, column = divmod(index, columns.num_patches)
        image = sample.copy()
        image[:, :, rows.patch(row), columns.patch(column)] = color[:, None, None]
        return image

    def tell(drops: np.ndarray) -> dict[str, Any]:
        grid = _mean_over_patches(drops.reshape(rows.num_patches, columns.num_patches))
        cell = [rows.cell, columns.cell]
        patch = [CELLS_A_PATCH * size for size in cell]
        return {"cell": cell, "patch": patch, "replaced_by": color.tolist(), "importance": grid.tolist()}

    return Occlusion(rows.num_patches * columns.num_patches, copy, tell)


def _occlude_text(encoder: TextEncoder, sample: np.ndarray, raw: str) -> Occlusion:
    """Words are left out; of a text that has no other, the word is made the unknown token."""
    words = encoder.words(raw)
    parts = _groups(len(words), MAX_COPIES)

    def copy(index: int) -> np.ndarray:
        part = words[parts[index]]
        left = np.delete(sample, np.arange(part[0][1].start, part[-1][1].stop), axis=1)
        return left if left.size else np.full((1, 1), UNKNOWN_TOKEN, sample.dtype)

    def tell(drops: np.ndarray) -> dict[str, Any]:
        said = []
        for part, drop in zip(parts, drops.tolist(), strict=True):
            start, end = words[part][0][0].start, words[part][-1][0].stop
            said.append({"text": raw[start:end], "start": start, "end": end, "importance": drop})
        return {"importance": said}

    return Occlusion(len(parts), copy, tell)


def _occlude_row(encoder: TabularEncoder, sample: np.ndarray, raw: Any) -> Occlusion:
    """Columns are taken for missing; where training lacked no value, for the typical one."""
    others = _other_values(encoder, sample[0])
    parts = _groups(len(others), MAX_COPIES)

    def copy(index: int) -> np.ndarray:
        row = sample.copy()
        for other in others[parts[index]]:
            row[0, other.places] = other.codes
        return row

    def tell(drops: np.ndarray) -> dict[str, Any]:
        said = []
        for part, drop in zip(parts, drops.tolist(), strict=True):
            columns, values = [other.column for other in others[part]], [other.value for other in others[part]]
            said.append({"columns": columns, "replaced_by": values, "importance": drop})
        return {"importance": said}

    return Occlusion(len(parts), copy, tell)


@dataclass(frozen=True)
class _OtherValue:
    """What takes the place of a column's value, and how it is encoded."""

    column: str
    value: str | float | None
    places: list[int]
    codes: list[float]


def _other_values(encoder: TabularEncoder, row: np.ndarray) -> list[_OtherValue]:
    """Return one a column, in the encoder's order; ``row`` [F] is laid out as `TabularEncoder.encode` says."""
    numeric = [column for column in encoder.columns if isinstance(column, NumericColumn)]
    flag = len(numeric)
    others: dict[str, _OtherValue] = {}
    for place, number in enumerate(numeric):
        flags = [flag] if number.has_missing else []
        flag += len(flags)
        value = None if flags and not row[flags[0]] else number.median
        codes = [number.encode_one(value), *(float(value is None) for _ in flags)]
        others[number.name] = _OtherValue(number.name, value, [place, *flags], codes)
    categorical = [column for column in encoder.columns if isinstance(column, CategoricalColumn)]
    for place, category in enumerate(categorical, start=flag):
        # None before all others; the most frequent one follows.
        known = sorted(category.categories, key=lambda value: value is not None)
        other = next((value for value in known if category.encode_one(value) != row[place]), known[0])
        others[category.name] = _OtherValue(category.name, other, [place], [category.encode_one(other)])
    return [others[column.name] for column in encoder.columns]


def _occlude_series(encoder: SeriesEncoder, sample: np.ndarray, raw: Any) -> Occlusion:
    """Windows of time in all channels, then whole channels, get the channel's mean over the training split."""
    _, num_steps, num_channels = sample.shape
    steps = _Axis(num_steps, MAX_WINDOWS - CELLS_A_PATCH + 1)
    channels = _groups(num_channels, MAX_COPIES - steps.num_patches) if num_channels > 1 else []
    mean = np.array(encoder.mean, sample.dtype)

    def copy(index: int) -> np.ndarray:
        series = sample.copy()
        if index < steps.num_patches:
            series[:, steps.patch(index)] = mean
        else:
            part = channels[index - steps.num_patches]
            series[:, :, part] = mean[part]
        return series

    def tell(drops: np.ndarray) -> dict[str, Any]:
        windows, whole = np.split(drops, [steps.num_patches])
        told = {
            "steps_a_cell": steps.cell,
            "steps_a_patch": CELLS_A_PATCH * steps.cell,
            "replaced_by": mean.tolist(),
            "importance": _mean_over_patches(windows).tolist(),
        }
        numbers = [list(range(part.start, part.stop)) for part in channels]
        said = [
            {"channels": own, "names": list(encoder.channel_names[own[0] : own[-1] + 1]), "importance": drop}
            for own, drop in zip(numbers, whole.tolist(), strict=True)
        ]
        return {**told, "channel_importance": said} if said else told

    return Occlusion(steps.num_patches + len(channels), copy, tell)


def _groups(count: int, most: int) -> list[slice]:
    """Return ``count`` things in their order as at most ``most`` groups of one size, one each where that suffices."""
    size = max(1, math.ceil(count / most))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


_OCCLUDE: dict[type[Encoder], Callable[[Any, np.ndarray, Any], Occlusion]] = {
    ImageEncoder: _occlude_image,
    TextEncoder: _occlude_text,
    TabularEncoder: _occlude_row,
    SeriesEncoder: _occlude_series,
}
