"""Datasets of networks and of trainings, apart from others: a node that has neither does not depend on their code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from thresher.datasets.candidate import is_kept, read_failed
from thresher.datasets.local import LocalDataset
from thresher.errors import DataError
from thresher.files import replacing_folder


class NetworkDataset(LocalDataset[Any]):
    """A torch network as a folder with safetensors weights and the JSON that rebuilds it."""

    def load(self) -> Any:
        from thresher.models.storage import load_network

        with self._reading() as path:
            return load_network(path)

    def save(self, data: Any) -> None:
        from thresher.models.storage import save_network

        with replacing_folder(self._filepath) as folder:
            save_network(data, folder)


class CandidateNetwork(NetworkDataset):
    """A torch network, or a failure."""

    def load(self) -> Any:
        return read_failed(self._filepath) or super().load()

    def save(self, data: Any) -> None:
        if not is_kept(data, self._filepath):
            super().save(data)


class CheckpointsDataset(LocalDataset[Any]):
    """The folder where trainings that were killed go on: an input of a node, there or not, never saved by Kedro."""

    def load(self) -> Any:
        from thresher.training.checkpoints import Checkpoints

        return Checkpoints(self._filepath)

    def save(self, data: Any) -> None:
        raise DataError(f"{self._filepath}: trainings write here themselves; a node's output it cannot be.")

    def _exists(self) -> bool:
        return True

    def fingerprint(self, hash_of: Callable[[Path], str | None]) -> str:
        """Return always the same: where a training goes on does not change what it comes to."""
        return "checkpoints"
