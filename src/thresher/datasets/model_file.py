"""The file or folder of a model that was trained elsewhere: raw data, which a recipe names by its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from kedro.io import AbstractDataset, DatasetError

from thresher.errors import DataError
from thresher.files import read_bytes
from thresher.models.imported.config import ModelFile
from thresher.models.pretrained.folder import PretrainedFolder, find_files, read_folder

FIX = "correct model.path in the recipe, which is relative to the project's folder, or put the file there."

Read = TypeVar("Read")


class _ReadOnly(AbstractDataset[Any, Read], Generic[Read]):
    """A model that was trained elsewhere, at ``_path``."""

    _path: Path

    def save(self, data: Any) -> NoReturn:
        """Raise a DatasetError: a model that was trained elsewhere is what the outside world gave."""
        raise DatasetError(f"{self._path}: a model from outside is read-only.")

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


class ModelFileDataset(_ReadOnly[ModelFile]):
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

    def _exists(self) -> bool:
        return self._path.is_file()


class PretrainedFolderDataset(_ReadOnly[PretrainedFolder]):
    """The files of a pretrained model's folder; read-only."""

    def __init__(self, *, path: str, with_weights: bool, of_graph: bool = False) -> None:
        """Name the folder; nothing is read yet.

        Args:
            with_weights: whether its weights are taken, or its architecture and tokenizer alone.
            of_graph: whether its tokenizer alone is wanted, for a graph in a file of its own.
        """
        self._path, self._with_weights, self._of_graph = Path(path), with_weights, of_graph

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are read; the folder itself where they cannot be."""
        try:
            return find_files(self._path, self._with_weights, self._of_graph)
        except DataError:
            return (self._path,)

    def load(self) -> PretrainedFolder:
        """Return the files as they are; raises DataError where they cannot be read, or must not be."""
        return read_folder(self._path, self._with_weights, of_graph=self._of_graph)

    def _exists(self) -> bool:
        return self._path.is_dir()
