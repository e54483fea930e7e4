"""The content types of requests, and forms with files."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from thresher.errors import nearest
from thresher.modalities.encoder import Encoder
from thresher.serving.core.errors import MalformedError
from thresher.serving.http.response import HttpError

CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
JSON, MULTIPART, TEXT = "application/json", "multipart/form-data", "text/plain"


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
        HttpError: 415 none or an unknown one, with those allowed; a text that is not UTF-8.
    """
    given, _, parameters = headers.get("content-type", "").partition(";")
    given, allowed = given.strip().lower(), content_types(encoder)
    if given not in allowed:
        what = f"Content-Type '{given}' given." if given else "No Content-Type given."
        raise HttpError(415, f"{what} {nearest(given, allowed)}", headers={"Accept": ", ".join(allowed)})
    charset = CHARSET.search(parameters)
    if given == TEXT and charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise HttpError(415, f"The text is in {charset[1][:100]}. Send it in UTF-8.")
    return given


async def read_form(headers: Headers, body: bytes, encoder: Encoder) -> list[tuple[str, bytes]]:
    """Return the files (name, content) of a form, in the order sent; at least one.

    Raises:
        MalformedError: a malformed form, or one with no file or with a text field.
    """

    hint = f"Send one file or more: curl -F {encoder.NAMES[0]}=@FILE"

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _Form(headers, whole(), max_fields=16)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise MalformedError(f"Malformed form: {error.message}") from error
    except Exception as error:  # the parser lets through whatever a damaged part header makes it stumble on
        raise MalformedError("Malformed form.") from error
    try:
        files = [
            (part.filename or "", await part.read()) for _, part in form.multi_items() if isinstance(part, UploadFile)
        ]
    finally:
        await form.close()
    for name, part in form.multi_items():
        if isinstance(part, str):
            raise MalformedError(f"Field '{name[:100]}' is text. {hint}")
    if not parser.is_whole:  # of a form that broke off the parser leaves out the last part
        raise MalformedError(f"The form ends without its last boundary. {hint}")
    if not files:
        raise MalformedError(f"No file in the form. {hint}")
    return files
