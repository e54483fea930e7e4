"""The data folder of a project: which files in it are whose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from kedro.io import CatalogProtocol

from thresher.adapters.kedro import dataset_arguments, dataset_file
from thresher.caching.records import STATE_FOLDER
from thresher.recipe import is_valid_name
from thresher.retention.artifacts import files_at

STAGES = "0[2-8]_*"
"""Folders in data/ that runs write to; 01_raw is not one of them."""


@dataclass(frozen=True)
class DataFolder:
    """The data folder of a project, as its catalog sees it.

    Attributes:
        entries: the catalog as written.
    """

    project: Path
    catalog: CatalogProtocol[Any, Any]
    entries: dict[str, Any]

    @property
    def stages(self) -> list[Path]:
        """The folders of the stages, each with a folder a recipe."""
        return sorted((self.project / "data").glob(STAGES))

    def recipes(self) -> set[str]:
        """Return the recipes that something is there or recorded of, those without a file in pipelines/ too."""
        parents = [self.project / STATE_FOLDER / "records", *self.stages]
        return {folder.name for parent in parents for folder in parent.glob("*/") if is_valid_name(folder.name)}

    def places(self, name: str) -> list[Path]:
        """Return whatever may be a path in the catalog's entry for the dataset ``name``, there or not."""
        dataset = self.catalog.get(name) if name in self.catalog else None
        return [self.project / text for text in _texts(dataset_arguments(dataset))] if dataset else []

    def ours(self, name: str) -> list[Path]:
        """Return what can be freed of the dataset ``name``: its file or folder, if that is in a stage's folder."""
        dataset = self.catalog.get(name) if name in self.catalog else None
        place = dataset_file(dataset) if dataset else None
        # Of a versioned dataset the user keeps what was before.
        if dataset is None or place is None or dataset_arguments(dataset).get("versioned"):
            return []
        path = self.project / place
        inside = any(stage in path.parents for stage in self.stages)
        return [path] if inside and path.exists() and not self._is_named(path) else []

    def leftovers(self, recipe: str, known: Iterable[Path]) -> Iterator[Path]:
        """Yield the files in the recipe's folders that are not at or below ``known``."""
        taken = set(known)
        for stage in self.stages:
            for file in files_at(stage / recipe):
                if taken.isdisjoint((file, *file.parents)) and not self._is_named(file):
                    yield file

    def _is_named(self, path: Path) -> bool:
        """Return whether the catalog has an entry for ``path``, or what it lies in, by name: somebody's raw data."""
        return not self._named.isdisjoint((path, *path.parents))

    def stage_of(self, path: Path) -> Path:
        """Return the stage's folder that ``path`` lies in."""
        return next(stage for stage in self.stages if stage in path.parents)

    @cached_property
    def _named(self) -> set[Path]:
        texts = {text for name, entry in self.entries.items() if "{" not in name for text in _texts(entry)}
        return {path for text in texts if (path := self.project / text).is_relative_to(self.project / "data")}


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in nested mappings and sequences: some are paths."""
    if isinstance(value, str | PurePath):
        yield str(value)
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
