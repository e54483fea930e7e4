"""One tiny bundle, and one app for all tests of the service; a browser for those of its pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from helpers.from_apt import provide
from tiny_service import CLASS_NAMES, Caller, make_info, make_onnx

from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    encoder = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=6, class_names=CLASS_NAMES)
    return Bundle(make_onnx(), encoder, make_info())


@pytest.fixture(scope="session")
def call(bundle: Bundle) -> Iterator[Caller]:
    caller = Caller(bundle)
    yield caller
    caller.runner.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one module: while it is there, its event loop runs, and no other can."""
    from playwright.sync_api import sync_playwright

    provide("no browser is here", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()
