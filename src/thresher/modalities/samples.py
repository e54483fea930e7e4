"""Samples: what every catalog entry of raw data loads, and every stage passes on."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from thresher.modalities.tabular.table import Table

Inputs = np.ndarray | Table
"""One raw sample a row: images uint8 [N, C, H, W]; texts [N] of str and series [N] of float64 [T, C], both in an array
of dtype object; rows of a table. Encoded: a numeric array [N, ...]."""
InputsType = TypeVar("InputsType", bound=Inputs)


@dataclass(frozen=True)
class Samples(Generic[InputsType]):
    """Labelled samples of one split, raw or encoded.

    Attributes:
        inputs: raw, as a catalog entry gives them, or encoded, as the model takes them.
        labels: of shape [N]. Classification: int64, an index into ``class_names``; -1 where the label is missing.
            Regression: float64, NaN where it is missing.
        class_names: the name of each class, in the order of the model's outputs; empty for a regression.
        places: of shape [N], where each sample stands, such as `adult.data:18`; None where the index says it all.
        groups: of shape [N], what each sample belongs to (a person, a machine), as numbers or texts; no group is in
            two splits.
        order: of shape [N], numbers or texts that sort as time does; no split learns from what comes after another.
        notes: what was left out on reading, in sentences.
        background: the colour that transparent images were laid upon, for images that were files.
        resized: whether images that were files were resized to one size.
        channel_names: of the channels of series, in their order; empty where the data does not name them.
    """

    inputs: InputsType
    labels: np.ndarray
    class_names: tuple[str, ...] = ()
    places: np.ndarray | None = None
    groups: np.ndarray | None = None
    order: np.ndarray | None = None
    background: tuple[int, int, int] | None = None
    notes: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()
    resized: bool = False

    def __post_init__(self) -> None:
        assert len(self.inputs) == len(self.labels), (len(self.inputs), len(self.labels))
        assert self.labels.dtype == (np.int64 if self.class_names else np.float64), self.labels.dtype

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def task(self) -> str:
        """classification where there are classes, else regression."""
        return "classification" if self.class_names else "regression"

    def take(self, indices: np.ndarray) -> Samples[InputsType]:
        """Return the samples at ``indices`` (int64 or bool of shape [N])."""
        places, groups, order = (
            None if values is None else values[indices] for values in (self.places, self.groups, self.order)
        )
        inputs: Any = self.inputs[indices]
        return replace(self, inputs=inputs, labels=self.labels[indices], places=places, groups=groups, order=order)

    def draw(self, count: int, seed: int) -> Samples[InputsType]:
        """Return ``count`` of the samples, drawn by ``seed``, in their order; all where there are no more."""
        if len(self) <= count:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False)))

    def with_inputs(self, inputs: np.ndarray) -> EncodedSamples:
        """Return the same samples encoded: ``inputs`` in place of the raw ones."""
        return Samples(inputs, self.labels, self.class_names, self.places)

    def place(self, index: int) -> str:
        """Return where the sample ``index`` stands, in words."""
        return f"sample {index}" if self.places is None else str(self.places[index])

    def content_hash(self) -> str:
        """Return the SHA-256 of inputs, labels and class names, as 64 hexadecimal digits."""
        digest = hashlib.sha256(repr((len(self), self.class_names)).encode())
        _add_inputs(digest, self.inputs)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


EncodedSamples = Samples[np.ndarray]
"""Samples as a model takes them: inputs [N, ...] of the type and shape of the encoder's `model_input`."""


def hash_each(inputs: Inputs) -> list[str]:
    """Return the SHA-256 of each sample's content, as 64 hexadecimal digits.

    Equal are samples that say the same: the order of a table's columns, -0.0 and 0.0, 1 and 1.0, and the bits of a
    number that is missing make no difference.
    """
    if isinstance(inputs, Table):
        names = sorted(inputs.columns)
        begin = hashlib.sha256(repr(names).encode("utf-8", "surrogatepass"))
        hashes = []
        for row in zip(*(_comparable(inputs.columns[name]) for name in names), strict=True):
            digest = begin.copy()
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
            hashes.append(digest.hexdigest())
        return hashes
    return [hashlib.sha256(_content(sample)).hexdigest() for sample in inputs]


def hash_each_normalized(inputs: Inputs) -> list[str] | None:
    """Return as `hash_each` does, but alike for texts that differ in case, blanks or Unicode form alone.

    None where nothing is text.
    """
    if isinstance(inputs, Table):
        if all(column.dtype.kind == "f" for column in inputs.columns.values()):
            return None
        columns = {
            name: column if column.dtype.kind == "f" else _each_normalized(column)
            for name, column in inputs.columns.items()
        }
        return hash_each(Table(columns))
    if inputs.dtype != np.object_ or not len(inputs) or not isinstance(inputs[0], str):
        return None
    return hash_each(_each_normalized(inputs))


def _each_normalized(column: np.ndarray) -> np.ndarray:
    known = {value: normalize(value) if isinstance(value, str) else value for value in set(column.tolist())}
    normal = np.empty(len(column), dtype=object)
    normal[:] = [known[value] for value in column.tolist()]
    return normal


def normalize(text: str) -> str:
    """Return ``text`` in compatible Unicode form (NFKC), without case, invisible characters and superfluous blanks.

    A text that is a number is written as one: 1.0 for 1, "1.00" and "+1".
    """
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    plain = " ".join("".join(letter for letter in plain if unicodedata.category(letter) != "Cf").split())
    try:
        return repr(float(plain) + 0.0)
    except ValueError:
        return plain


def _comparable(column: np.ndarray) -> list[Any]:
    """Return the values of a column so that equal ones have equal words."""
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f" and not np.isnan(column).any():
        return [value + 0.0 for value in values]  # -0.0 becomes 0.0
    return values if set(map(type, values)) <= {str, type(None)} else [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """Return whole numbers as float where that is exact, and one value for all that is missing."""
    if value is None or value != value:
        return None
    if isinstance(value, (int, float)) and abs(value) <= 2**53:
        return value + 0.0
    return str(value) if isinstance(value, str) else value


def _add_inputs(digest: Any, inputs: Inputs) -> None:
    if isinstance(inputs, Table):
        for name, column in inputs.columns.items():
            digest.update(f"{name} {column.dtype.str}".encode())
            digest.update(repr(column.tolist()).encode() if column.dtype == np.object_ else column.tobytes())
    elif inputs.dtype == np.object_:
        for sample in inputs:
            content = _content(sample)
            digest.update(f"{len(content)} ".encode())
            digest.update(content)
    else:
        digest.update(repr((inputs.shape, inputs.dtype.str)).encode())
        digest.update(np.ascontiguousarray(inputs).data)


def _content(sample: Any) -> bytes:
    if isinstance(sample, str):
        return sample.encode("utf-8", "surrogatepass")
    array = np.ascontiguousarray(sample)
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array + array.dtype.type(0))
    return repr((array.shape, array.dtype.str)).encode() + array.tobytes() if array.ndim < 3 else array.tobytes()
