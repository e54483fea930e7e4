"""From a request's body and content type to encoded samples."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from thresher.errors import InvalidInputError, nearest
from thresher.modalities.encoder import Encoder
from thresher.serving.core.strict_json import parse_json

CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
JSON, MULTIPART, TEXT = "application/json", "multipart/form-data", "text/plain"
MAX_REQUEST_BYTES = 256 * 2**20
"""Of one request's encoded samples: a small body can hold very many short ones, which are padded to the longest."""


class _Form(MultiPartParser):
    """Starlette's parser, which also says whether the form came to its end."""

    is_whole = False

    def on_end(self) -> None:
        """Note the last boundary."""
        self.is_whole = True
        super().on_end()


def content_types(encoder: Encoder) -> tuple[str, ...]:
    """Return the content types that a request may have."""
    return (JSON, *encoder.file_types, MULTIPART) if encoder.file_types else (JSON,)


def content_type(headers: Headers, encoder: Encoder) -> str:
    """Return the request's content type without its parameters.

    Raises:
        HTTPException: 415 none or an unknown one, with those allowed; a text that is not UTF-8.
    """
    given, _, parameters = headers.get("content-type", "").partition(";")
    given, allowed = given.strip().lower(), content_types(encoder)
    if given not in allowed:
        what = f"Content-Type '{given}' given." if given else "No Content-Type given."
        raise HTTPException(415, f"{what} {nearest(given, allowed)}", headers={"Accept": ", ".join(allowed)})
    charset = CHARSET.search(parameters)
    if given == TEXT and charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise HTTPException(415, f"A text in {charset[1][:100]} given. Send it in UTF-8.")
    return given


def decode_json(body: bytes, encoder: Encoder) -> np.ndarray:
    """Return the samples in `{"image": ...}` or `{"images": [...]}`, or what the modality calls them, encoded.

    Raises:
        HTTPException: 400 malformed JSON, an unknown or missing key; 413 too many samples.
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
        HTTPException: 413 too many files.
        InvalidInputError: a file that cannot be read or is not what the model takes, by its name.
    """
    check_count(len(files), encoder)
    return encoder.model_input.join([decode_file(name, content, encoder) for name, content in files])


async def read_form(headers: Headers, body: bytes, encoder: Encoder) -> list[tuple[str, bytes]]:
    """Return the files (name, content) of a form, in the order sent; at least one.

    Raises:
        HTTPException: 400 a malformed form, or one with no file or with a text field.
    """

    hint = f"Send one file or more: curl -F {encoder.NAMES[0]}=@FILE"

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _Form(headers, whole(), max_fields=16)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"Malformed form: {error.message}") from error
    except Exception as error:  # the parser lets through whatever a damaged part header makes it stumble on
        raise HTTPException(400, "Malformed form.") from error
    try:
        files = [
            (part.filename or "", await part.read()) for _, part in form.multi_items() if isinstance(part, UploadFile)
        ]
    finally:
        await form.close()
    for name, part in form.multi_items():
        if isinstance(part, str):
            raise HTTPException(400, f"Field '{name[:100]}' is text. {hint}")
    if not parser.is_whole:  # of a form that broke off the parser leaves out the last part
        raise HTTPException(400, f"The form ends without its last boundary. {hint}")
    if not files:
        raise HTTPException(400, f"No file in the form. {hint}")
    return files


def check_count(count: int, encoder: Encoder) -> None:
    """Check that ``count`` samples may come in one request.

    Raises:
        HTTPException: 413 they may not.
    """
    most = max(1, MAX_REQUEST_BYTES // encoder.model_input.sample_bytes)
    if count > most:
        raise HTTPException(413, f"{count:,} {encoder.NAMES[1]} given. Send at most {most:,} at a time.")


def decode_one(name: str, content: bytes, encoder: Encoder) -> np.ndarray:
    """Return one sample written as JSON, encoded [1, ...].

    Raises:
        HTTPException: 400 malformed JSON.
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
        raise HTTPException(400, f'Expected a JSON object: {{"{one}": ...}} or {{"{many}": [...]}}.')
    for key in document:
        if key not in encoder.NAMES:
            raise HTTPException(400, f"Unknown key '{key[:100]}'. {nearest(key[:100], encoder.NAMES)}")
    if len(document) != 1:
        what = "Both keys given" if document else "No key given"
        raise HTTPException(400, f"{what}. Send one of: {one}, {many}.")
    return next(iter(document.items()))
