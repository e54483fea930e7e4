"""Readers: files of many formats as ``Samples``, each a Kedro dataset that a catalog's entry names as its `type`.

Kedro makes a catalog's relative ``path`` absolute from the project's folder, and no other key of ours, so every file
is named relative to ``path``. An error in the data is a ``DataError``; Kedro wraps it in its ``DatasetError``, whose
``__cause__`` it is. A reader is imported when it is named: none waits for the libraries of the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

READERS = {
    "BundledDigits": "bundled",
    "BundledTable": "bundled",
    "IdxImages": "idx",
    "ImageFolder": "image_folder",
    "ImageSheets": "image_files",
    "LabeledLines": "texts",
    "NpzImages": "image_files",
    "ParquetImages": "image_files",
    "ParquetSeries": "series",
    "TableFile": "tables",
    "TextTable": "texts",
    "TsSeries": "series",
}
"""The class of each reader -> its module in this package."""


def __getattr__(name: str) -> Any:
    """Return the reader ``name``; raises an AttributeError where there is none."""
    if name not in READERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{READERS[name]}"), name)
