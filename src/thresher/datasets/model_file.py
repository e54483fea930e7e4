"""The file of a model that was trained elsewhere: raw data, which a recipe names by its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from thresher.models.imported.config import ModelFile
from thresher.readers.base import read_bytes

FIX = "correct model.path in the recipe, which is relative to the project's folder, or put the file there."


class ModelFileDataset(AbstractDataset[Any, ModelFile]):
    """A model's file, with the weights beside it where an exporter put them there; read-only."""

    def __init__(self, *, path: str) -> None:
        """Name the file; nothing is read yet."""
        self._path = Path(path)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are read."""
        beside = self._path.with_name(f"{self._path.name}.data")
        return (self._path, beside) if beside.is_file() else (self._path,)

    def load(self) -> ModelFile:
        """Return the file as it is; raises DataError where it cannot be read."""
        content, *beside = (read_bytes(path, FIX) for path in self.paths)
        return ModelFile(self._path.name, content, *beside)

    def save(self, data: Any) -> NoReturn:
        """Raise a DatasetError: a model that was trained elsewhere is what the outside world gave."""
        raise DatasetError(f"{self._path}: a model from outside is read-only.")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
