"""How a test of a library's undocumented part says what the library has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import pytest


@contextmanager
def relied_on(library: str, what: str, used_in: str) -> Iterator[None]:
    """Fail with a sentence where the block raises: ``library`` no longer does ``what``, which ``used_in`` relies on."""
    try:
        yield
    except Exception as error:
        changed = f"{library} {version(library)} no longer keeps to what {used_in} relies on: {what}"
        pytest.fail(f"{changed} ({type(error).__name__}: {error})")
