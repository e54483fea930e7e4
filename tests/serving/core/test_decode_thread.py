"""What was decoded in vain is not kept until the refusal is answered."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from thresher.serving.core.decode_thread import LARGE_BODY_BYTES, decode_in_thread


class Document:
    """Something that a weak reference can be to."""


def test_a_document_that_is_refused_is_freed_before_the_answer() -> None:
    kept: list[weakref.ref[Document]] = []

    def encode(document: Document) -> None:
        raise KeyError("no such column")

    def decode() -> None:
        document = Document()
        kept.append(weakref.ref(document))
        try:
            encode(document)
        except KeyError as error:
            raise ValueError("no sample") from error

    gc.disable()
    try:
        with pytest.raises(ValueError, match="no sample") as refused:
            asyncio.run(decode_in_thread(decode, LARGE_BODY_BYTES))
        assert kept[0]() is None, refused.value
    finally:
        gc.enable()
