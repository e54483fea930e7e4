"""Readers: files of many formats as ``Samples``, each a Kedro dataset that a catalog's entry names as its `type`.

Kedro makes a catalog's relative ``path`` absolute from the project's folder, and no other key of ours, so every file
is named relative to ``path``. An error in the data is a ``DataError``; Kedro wraps it in its ``DatasetError``, whose
``__cause__`` it is. A reader is imported when it is named: none waits for the libraries of the others.
"""

from __future__ import annotations

from typing import Any

from thresher.kinds.record import ReaderKind
from thresher.kinds.registry import registry


def __getattr__(name: str) -> Any:
    """Return the reader ``name``, Thresher's own or another's; raises an AttributeError where there is none.

    Raises:
        KindError: it cannot be imported.
    """
    kinds = registry()
    if name not in kinds.names(ReaderKind.group):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return kinds.find(ReaderKind, name).load()
