"""From samples as a client writes them, in JSON or as files, to encoded ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher.errors import InvalidInputError, nearest
from thresher.modalities.encoder import Encoder
from thresher.serving.core.errors import MalformedError, TooLargeError
from thresher.serving.core.limits import MAX_SAMPLES_BYTES
from thresher.serving.core.strict_json import parse_json


def decode_json(body: bytes, encoder: Encoder) -> np.ndarray:
    """Return the samples in `{"image": ...}` or `{"images": [...]}`, or what the modality calls them, encoded.

    Raises:
        MalformedError: malformed JSON, an unknown or missing key.
        TooLargeError: too many samples.
        InvalidInputError: a sample of a wrong shape, type or range.
    """
    one, many = encoder.NAMES
    key, value = _only_entry(parse_json(body), encoder)
    if key == one:
        return encode_json(value, encoder, "")
    if not isinstance(value, list) or not value:
        raise InvalidInputError(f"'{many}' must be a list of one or more. Each is {encoder.expected}.")
    check_count(len(value), encoder)
    samples = [encode_json(item, encoder, f"{many}[{index}]: ") for index, item in enumerate(value)]
    return encoder.model_input.join(samples)


def decode_files(files: list[tuple[str, bytes]], encoder: Encoder) -> np.ndarray:
    """Return the ``files`` (name, content), encoded, in their order.

    Raises:
        TooLargeError: too many files.
        InvalidInputError: a file that cannot be read or is not what the model takes, by its name.
    """
    check_count(len(files), encoder)
    return encoder.model_input.join([decode_file(name, content, encoder) for name, content in files])


def check_count(count: int, encoder: Encoder) -> None:
    """Check that ``count`` samples may come in one request.

    Raises:
        TooLargeError: they may not.
    """
    most = max(1, MAX_SAMPLES_BYTES // encoder.model_input.sample_bytes)
    if count > most:
        raise TooLargeError(f"{count:,} {encoder.NAMES[1]} given. Send at most {most:,} at a time.")


def decode_one(name: str, content: bytes, encoder: Encoder) -> np.ndarray:
    """Return one sample written as JSON, encoded [1, ...].

    Raises:
        MalformedError: malformed JSON.
        InvalidInputError: a wrong shape, type or range, by its name.
    """
    return encode_json(parse_json(content), encoder, f"{name}: ")


def encode_json(value: Any, encoder: Encoder, place: str) -> np.ndarray:
    """Return one sample of a JSON document, encoded [1, ...]; ``place`` begins the text of an error."""
    try:
        return encoder.encode_json(value)
    except (OverflowError, RecursionError) as error:
        raise InvalidInputError(f"{place}A number out of range. Expected {encoder.expected}.") from error
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}{error}") from error


def decode_file(name: str, content: bytes, encoder: Encoder) -> np.ndarray:
    """Return the file ``name``, encoded [1, ...].

    Raises:
        InvalidInputError: it cannot be read or is not what the model takes, by its name.
    """
    try:
        return encoder.encode_file(content)
    except InvalidInputError as error:
        raise InvalidInputError(f"File '{name[:100]}': {error}") from error


def _only_entry(document: Any, encoder: Encoder) -> tuple[str, Any]:
    """Return the one key and value of a JSON request."""
    one, many = encoder.NAMES
    if not isinstance(document, dict):
        raise MalformedError(f'Expected a JSON object: {{"{one}": ...}} or {{"{many}": [...]}}.')
    for key in document:
        if key not in encoder.NAMES:
            raise MalformedError(f"Unknown key '{key[:100]}'. {nearest(key[:100], encoder.NAMES)}")
    if len(document) != 1:
        what = "Both keys given" if document else "No key given"
        raise MalformedError(f"{what}. Send one of: {one}, {many}.")
    return next(iter(document.items()))
