"""The protocol's datatypes: from bytes and lists to arrays, and back."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from thresher.errors import InvalidInputError

BYTES = "BYTES"
DATATYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}
NAMES = {dtype: name for name, dtype in DATATYPES.items()}
LENGTH = struct.Struct("<I")
MAX_EXACT = 2**53
"""The largest whole number such that all below it are exact in float64."""


def from_raw(name: str, datatype: str, shape: Sequence[int], raw: bytes | memoryview) -> np.ndarray:
    """Return the tensor ``name`` in ``raw``, little-endian and row-major; of BYTES, an array of Python bytes.

    The array shares the memory of ``raw`` and cannot be written to.

    Raises:
        InvalidInputError: not as many bytes as shape and datatype say.
    """
    if datatype == BYTES:
        return from_items(name, shape, _split(name, raw))
    dtype = DATATYPES[datatype]
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) != expected:
        raise InvalidInputError(
            f"Input '{name}': {len(raw):,} bytes given; {datatype} of shape {list(shape)} has {expected:,}."
        )
    return np.frombuffer(raw, dtype).reshape(shape)


def from_values(name: str, datatype: str, shape: Sequence[int], values: Any) -> np.ndarray:
    """Return the tensor ``name`` of a list, flat or nested as its shape says.

    Raises:
        InvalidInputError: values of another type or out of range, or not as many as the shape says.
    """
    if not isinstance(values, list):
        raise InvalidInputError(
            f"Input '{name}': 'data' must be a list of {datatype}, flat or nested as the shape says."
        )
    if datatype == BYTES:
        return from_items(name, shape, _texts(name, values))
    try:
        given = np.array(values)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"Input '{name}': 'data' is ragged or out of range.") from error
    dtype = DATATYPES[datatype]
    if given.size and (not _fits(given, dtype) or (given.dtype.kind != "b" and _holds_flag(values))):
        raise InvalidInputError(f"Input '{name}': 'data' has values that are not {datatype}.")
    if given.ndim > 1 and given.shape != tuple(shape):
        raise InvalidInputError(f"Input '{name}': 'data' is nested as {list(given.shape)}; its shape is {list(shape)}.")
    if given.size != math.prod(shape):
        raise InvalidInputError(
            f"Input '{name}': {given.size:,} values given; shape {list(shape)} has {math.prod(shape):,}."
        )
    return given.astype(dtype).reshape(shape)


def from_items(name: str, shape: Sequence[int], items: list[bytes]) -> np.ndarray:
    """Return the tensor ``name`` of BYTES with ``items``.

    Raises:
        InvalidInputError: not as many as the shape says.
    """
    if len(items) != math.prod(shape):
        raise InvalidInputError(
            f"Input '{name}': {len(items):,} items given; shape {list(shape)} has {math.prod(shape):,}."
        )
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def to_raw(array: np.ndarray) -> bytes:
    """Return ``array`` as the protocol sends it: little-endian and row-major, texts each after its length."""
    if array.dtype != object:
        return array.tobytes()
    texts = [str(item).encode() for item in array.reshape(-1).tolist()]
    return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))


def _fits(given: np.ndarray, dtype: np.dtype) -> bool:
    """Return whether all of ``given``, read from JSON or a list, can be of ``dtype`` unchanged but for rounding."""
    if dtype.kind == "b" or given.dtype.kind == "b":
        return dtype.kind == given.dtype.kind
    if dtype.kind == "f":
        return given.dtype.kind in "iuf" and float(np.abs(given).max()) <= float(np.finfo(dtype).max)
    if given.dtype.kind == "f":
        # JSON has one kind of number: 1.0 is as whole as 1, up to where neighbours become one.
        return bool((np.abs(given) <= MAX_EXACT).all() and (given == np.floor(given)).all()) and _fits(
            given.astype(np.int64), dtype
        )
    if given.dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return int(given.min()) >= limits.min and int(given.max()) <= limits.max


def _holds_flag(values: list[Any]) -> bool:
    """Return whether a true or false is among numbers, as which numpy takes it; all lists are as deep as the first."""
    if values and isinstance(values[0], list):
        return any(map(_holds_flag, values))
    return bool in set(map(type, values))


def _split(name: str, raw: bytes | memoryview) -> list[bytes]:
    items, place = [], 0
    while place < len(raw):
        if place + LENGTH.size > len(raw):
            raise InvalidInputError(
                f"Input '{name}': the bytes end within a length. Each item is a length, then bytes."
            )
        (length,) = LENGTH.unpack_from(raw, place)
        place += LENGTH.size
        if place + length > len(raw):
            raise InvalidInputError(f"Input '{name}': an item of {length:,} bytes is longer than what is left.")
        items.append(bytes(raw[place : place + length]))
        place += length
    return items


def _texts(name: str, values: list[Any]) -> list[bytes]:
    flat: list[bytes] = []
    for value in values:
        if isinstance(value, list):
            flat += _texts(name, value)
        elif isinstance(value, str):
            flat.append(value.encode("utf-8", "surrogatepass"))
        else:
            raise InvalidInputError(f"Input '{name}': BYTES in JSON must be texts.")
    return flat
