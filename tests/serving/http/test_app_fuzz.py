"""Nothing that a client sends is answered with a 5xx."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_service import Caller

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=True)
    | st.text(max_size=5)
)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
pixels = st.sampled_from([0, 255, 256, -1, 1.0, 0.5, True, None, "1", 2**63, 2**64, 10**400, 1e308, [], {}])
images = st.lists(st.lists(pixels, min_size=6, max_size=6), min_size=8, max_size=8)
content_types = st.sampled_from(
    [
        "application/json",
        "image/png",
        "image/jpeg",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=x; charset=nonsense",
        "multipart/form-data; boundary*=utf-9''x",
        "text/plain",
    ]
)


def is_no_failure(status: int) -> bool:
    return status == 200 or 400 <= status < 500


@QUICK
@given(key=st.sampled_from(["image", "images", "imagse"]), value=documents)
def test_any_document(call: Caller, key: str, value: Any) -> None:
    assert is_no_failure(call.post(json.dumps({key: value})).status_code)


@QUICK
@given(key=st.sampled_from(["image", "images"]), value=images)
def test_any_pixels(call: Caller, key: str, value: Any) -> None:
    assert call.post(json.dumps({key: value})).status_code in (200, 400, 422)


@QUICK
@given(body=st.binary(max_size=300), content_type=content_types)
def test_any_bytes(call: Caller, body: bytes, content_type: str) -> None:
    assert 400 <= call.post(body, content_type).status_code < 500


@QUICK
@given(header=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=80))
def test_any_form_header(call: Caller, header: str) -> None:
    body = b"--x\r\nContent-Disposition: form-data; " + header.encode("latin-1") + b"\r\n\r\nabc\r\n--x--\r\n"
    assert 400 <= call.post(body, "multipart/form-data; boundary=x").status_code < 500


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@QUICK
@given(data=st.data())
def test_any_damage_to_an_image(call: Caller, kind: str, data: st.DataObject) -> None:
    file = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(8, 6)).save(file, kind)
    content = bytearray(file.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    for content_type in ("image/png", "image/jpeg"):
        assert is_no_failure(call.post(bytes(content), content_type).status_code)
