"""Samples that are encoded one by one: texts, pictures, series, and rows in JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from thresher.errors import InvalidInputError
from thresher.modalities.encoder import Encoder, UnencodableError
from thresher.modalities.image.decode import MAX_PIXELS, decode_picture
from thresher.prediction.sources import content_of
from thresher.serving.core.decoding import encode_json
from thresher.serving.core.errors import RequestError

Encode = Callable[[Any], np.ndarray]
"""From a sample as it stands to [1, ...]; raises an InvalidInputError."""


def encode_each(
    values: Iterable[Any], encode: Encode, encoder: Encoder
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
    """Return the samples that have an answer, [M, ...], which these are, int64 [M], and why others have none."""
    encoded, kept, rejected = [], [], []
    for index, value in enumerate(values):
        try:
            encoded.append(encode(content_of(value)))
            kept.append(index)
        except (InvalidInputError, RequestError) as error:
            rejected.append((index, str(error)))
    samples = encoder.model_input.join(encoded) if encoded else encoder.model_input.example(0)
    return samples, np.array(kept, np.int64), rejected


def encode_value(encoder: Encoder) -> Encode:
    """Return what encodes a value of a JSON document, as the service does."""

    def encode(value: Any) -> np.ndarray:
        if isinstance(value, Exception):
            raise value
        return encode_json(value, encoder, "")

    return encode


def encode_series(encoder: Encoder) -> Encode:
    """Return what encodes a series float64 [T, C]."""

    def encode(value: Any) -> np.ndarray:
        if isinstance(value, Exception):
            raise value
        series = np.empty(1, dtype=object)
        series[0] = value
        return encoder.encode(series)

    return encode


def encode_picture(encoder: Any, size: tuple[int, int] | None) -> Encode:
    """Return what encodes the bytes of a picture's file: resized where the reader of the training data does so."""

    def encode(content: Any) -> np.ndarray:
        if not isinstance(content, bytes) or not content:
            raise InvalidInputError(f"No picture. Expected {encoder.expected}, as a PNG or JPEG file.")
        if size is None or encoder.preprocessing is not None:
            image: np.ndarray = encoder.encode_file(content)
            return image
        pixels = decode_picture(content, encoder.channels, encoder.background, max_pixels=MAX_PIXELS, resize=size)
        resized: np.ndarray = encoder.encode(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]))
        return resized

    return encode


def encode_texts(texts: list[Any], encoder: Encoder) -> tuple[np.ndarray, np.ndarray, list[tuple[int, str]]]:
    """Return what `encode_each` does of texts: all at once, which takes all cores, where none is to be refused."""
    try:
        return encoder.encode(np.array(texts, dtype=object)), np.arange(len(texts)), []
    except UnencodableError:
        return encode_each(texts, encode_value(encoder), encoder)
