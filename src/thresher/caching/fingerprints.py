"""What a dataset of the catalog holds, as text that changes when that does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from thresher.adapters.kedro import Catalog, dataset_arguments, dataset_file
from thresher.caching.file_hashes import FileHashes
from thresher.readers.base import RawSamples

ABSENT = ""
"""The fingerprint where nothing is there."""
# Where it lies, and what is said of it, is not what it holds.
NOT_CONTENT = {"path", "filepath", "filename", "fetch", "metadata", "credentials", "fs_args", "versioned"}


class CatalogContents:
    """What the datasets of a catalog hold now; each is looked at once."""

    def __init__(self, catalog: Catalog, hashes: FileHashes) -> None:
        self._catalog, self._hashes = catalog, hashes
        self._seen: dict[str, str | None] = {}

    def of(self, name: str) -> str | None:
        """Return the fingerprint of the dataset ``name``, as `fingerprint` does."""
        if name not in self._seen:
            dataset = self.dataset(name)
            self._seen[name] = fingerprint(dataset, self._hashes) if dataset is not None else None
        return self._seen[name]

    def dataset(self, name: str) -> AbstractDataset[Any, Any] | None:
        """Return the dataset ``name``, None where no entry or pattern of the catalog says what it is."""
        return self._catalog.get(name) if name in self._catalog else None

    def place(self, name: str) -> str:
        """Return where the dataset ``name`` reads and writes; equal places are one thing under two names."""
        dataset = self.dataset(name)
        return place(dataset) if dataset is not None else name


def fingerprint(dataset: AbstractDataset[Any, Any], hashes: FileHashes) -> str | None:
    """Return the fingerprint of ``dataset``; ``ABSENT`` where nothing is there, None where it cannot be known.

    A dataset says itself what it holds by a method `fingerprint(hash_of)`, or names its files in `paths`; of any other
    its local `filepath` counts. What is in memory, in a database or on another machine cannot be known.
    """
    own: Callable[[Callable[[Path], str | None]], str | None] | None = getattr(dataset, "fingerprint", None)
    if own is not None:
        return own(hashes.of)
    paths = _paths(dataset)
    if not paths:
        return None
    contents = [hashes.of(path) for path in paths]
    if None in contents:
        return ABSENT
    arguments = {key: value for key, value in _arguments(dataset).items() if key not in NOT_CONTENT}
    # Sorted on top alone: in a mapping of class names the order is that of the classes.
    text = json.dumps([contents, sorted(arguments.items())], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def place(dataset: AbstractDataset[Any, Any]) -> str:
    """Return where ``dataset`` reads and writes, by its type and arguments."""
    return json.dumps([type(dataset).__name__, _arguments(dataset)], sort_keys=True, default=str)


def _paths(dataset: AbstractDataset[Any, Any]) -> tuple[Path, ...]:
    if hasattr(dataset, "paths"):
        return tuple(dataset.paths)
    file = dataset_file(dataset)
    return (file,) if file else ()


def _arguments(dataset: AbstractDataset[Any, Any]) -> dict[str, Any]:
    arguments = dataset_arguments(dataset)
    # A reader's own have their defaults written out.
    options = dataset.options.model_dump() if isinstance(dataset, RawSamples) else {}
    return {**arguments, **options}
