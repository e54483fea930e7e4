"""From a request's body and content type to encoded samples."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any, NoReturn

import numpy as np
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from thresher.errors import InvalidInputError, nearest
from thresher.modalities.image import ImageEncoder

JSON, MULTIPART = "application/json", "multipart/form-data"
FILES = ("image/png", "image/jpeg")
CONTENT_TYPES = (JSON, *FILES, MULTIPART)
KEYS = ("image", "images")
FORM_HINT = "Send one file or more: curl -F image=@picture.png"


def content_type(headers: Headers) -> str:
    """Return the request's content type without its parameters.

    Raises:
        HTTPException: 415 none or an unknown one, with those allowed.
    """
    given = headers.get("content-type", "").split(";")[0].strip().lower()
    if given not in CONTENT_TYPES:
        what = f"Content-Type '{given}' given." if given else "No Content-Type given."
        raise HTTPException(
            415, f"{what} {nearest(given, CONTENT_TYPES)}", headers={"Accept": ", ".join(CONTENT_TYPES)}
        )
    return given


def decode_json(body: bytes, encoder: ImageEncoder) -> np.ndarray:
    """Return the samples in `{"image": ...}` or `{"images": [...]}`, encoded.

    Raises:
        HTTPException: 400 malformed JSON, an unknown or missing key.
        InvalidInputError: an image of a wrong shape, type or range.
    """
    key, pixels = _only_entry(_parse_json(body))
    try:
        samples = encoder.encode_array(pixels)
    except (OverflowError, RecursionError) as error:
        raise InvalidInputError(f"Pixels out of range. Expected {encoder.expected}.") from error
    if key == "image" and len(samples) != 1:
        raise InvalidInputError(f"{len(samples)} images under 'image'. Send several under 'images'.")
    if key == "images" and len(samples) != len(pixels):
        raise InvalidInputError("One image under 'images'. Send a list of images, or one under 'image'.")
    return samples


def decode_files(files: list[tuple[str, bytes]], encoder: ImageEncoder) -> np.ndarray:
    """Return the PNG and JPEG ``files`` (name, content), encoded, in their order.

    Raises:
        InvalidInputError: a file that is not a readable image of the right size, by its name.
    """
    return np.concatenate([_decode_file(name, content, encoder) for name, content in files])


async def read_form(headers: Headers, body: bytes) -> list[tuple[str, bytes]]:
    """Return the files (name, content) of a form, in the order sent; at least one.

    Raises:
        HTTPException: 400 a malformed form, or one with no file or with a text field.
    """

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(headers, whole(), max_fields=16).parse()
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
            raise HTTPException(400, f"Field '{name[:100]}' is text. {FORM_HINT}")
    if not files:
        raise HTTPException(400, f"No file in the form. {FORM_HINT}")
    return files


def _decode_file(name: str, content: bytes, encoder: ImageEncoder) -> np.ndarray:
    try:
        return encoder.encode_file(content)
    except InvalidInputError as error:
        raise InvalidInputError(f"File '{name[:100]}': {error}") from error


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise HTTPException(400, "Malformed JSON: nested too deep.") from error
    except ValueError as error:  # also bytes that are no text, and integers of thousands of digits
        raise HTTPException(400, f"Malformed JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _only_entry(document: Any) -> tuple[str, Any]:
    """Return the one key and value of a JSON request."""
    if not isinstance(document, dict):
        raise HTTPException(400, 'Expected a JSON object: {"image": ...} or {"images": [...]}.')
    for key in document:
        if key not in KEYS:
            raise HTTPException(400, f"Unknown key '{key[:100]}'. {nearest(key[:100], KEYS)}")
    if len(document) != 1:
        what = "Both keys given" if document else "No key given"
        raise HTTPException(400, f"{what}. Send one of: {', '.join(KEYS)}.")
    return next(iter(document.items()))
