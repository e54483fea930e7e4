"""Strict JSON: whatever another reader could understand otherwise is refused with a reason."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from thresher.serving.core.errors import MalformedError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
NO_NUMBER = re.compile(r"-?(?:NaN|Infinity)")
CONTAINERS = (dict, list)
MAX_NAME = 100
"""Characters of a key that an error repeats."""
VALUE_BYTES, LIST_BYTES, OBJECT_BYTES = 40, 72, 240
"""Of a number in a list, of a list besides its values, and of a short object."""
WORDS = {
    "surrogate": "half of a surrogate pair (\\ud800 to \\udfff alone) is not a character",
    "infinity": "a number is too large for 64 bits of floating point",
    "depth limit": "nested too deep",
    "allocate memory": "nested too deep",
}
"""A part of the parser's message -> what it means to the sender."""


def parse_json(body: bytes | bytearray | memoryview) -> Any:
    """Return the JSON document in ``body``.

    Raises:
        MalformedError: it is malformed, not in UTF-8, nested too deep, holds NaN, infinity or a lone surrogate, or
            names a key twice in one object.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"Malformed JSON: {_explain(error, bytes(body))}.") from error
    _refuse_duplicates(document, body)
    return document


def num_decoded_bytes(body: bytes) -> int:
    """Return what the document in ``body`` takes as Python's objects, at most; some times the body's own bytes."""
    num_lists, num_objects = body.count(b"["), body.count(b"{")
    num_values = num_lists + num_objects + body.count(b",")
    text = len(body) if body.isascii() else 4 * len(body)
    return VALUE_BYTES * num_values + LIST_BYTES * num_lists + OBJECT_BYTES * num_objects + text


def _explain(error: orjson.JSONDecodeError, body: bytes) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith(BYTE_ORDER_MARK):
        return "it begins with a byte order mark; send UTF-8 without one"
    if body.startswith(WIDE_MARKS) or 0 in body[:2]:
        return "it is in UTF-16 or UTF-32; send UTF-8"
    if found := NO_NUMBER.search(error.doc[max(0, error.pos - 1) : error.pos + 9]):
        return f"{found[0]} is not a JSON number; at line {error.lineno}, column {error.colno}"
    said = next((words for part, words in WORDS.items() if part in error.msg), error.msg)
    if "not valid UTF-8" in error.msg and not _holds_half_pair(body):
        return "it is not UTF-8"
    return f"{said}; at line {error.lineno}, column {error.colno}"


def _holds_half_pair(body: bytes) -> bool:
    """Return whether ``body`` would be UTF-8 but for surrogates that are written as characters."""
    try:
        body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _refuse_duplicates(document: Any, body: bytes | bytearray | memoryview) -> None:
    """Refuse a key that an object names twice: which of the two counts differs from reader to reader.

    Each key has one colon, so that as many keys as colons rule it out at once; colons within texts may mean more.
    """
    text = bytes(body)
    if text.count(b":") > _count_keys(document, text.count(b"{")):
        json.loads(text, object_pairs_hook=_unique)


def _count_keys(document: Any, num_objects: int) -> int:
    """Return the number of keys in ``document``, which has at most ``num_objects`` objects."""
    num_keys, found = 0, [document]
    for value in found:  # which grows meanwhile
        if type(value) is dict:
            num_keys += len(value)
            num_objects -= 1
            if num_objects == 0:
                break
            found.extend(value.values())
        elif type(value) is list and value and type(value[0]) in CONTAINERS:
            found.extend(value)
    return num_keys


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"Malformed JSON: key '{twice[:MAX_NAME]}' is given twice.")
    return found
