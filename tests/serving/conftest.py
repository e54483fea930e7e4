"""One tiny bundle and one app for all tests of the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tiny_service import CLASS_NAMES, Caller, make_info, make_onnx

from thresher.modalities.image import ImageEncoder
from thresher.serving.bundle import Bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    encoder = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=6, class_names=CLASS_NAMES)
    return Bundle(make_onnx(), encoder, make_info())


@pytest.fixture(scope="session")
def call(bundle: Bundle) -> Iterator[Caller]:
    caller = Caller(bundle)
    yield caller
    caller.runner.close()
