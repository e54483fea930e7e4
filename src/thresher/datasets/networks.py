"""Datasets of networks and of trainings, apart from others: a node that has neither does not depend on their code.

What needs torch is imported when a dataset loads or saves: a plan makes datasets and reads none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from thresher.datasets.candidate import MayHaveFailed
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


class CandidateNetwork(MayHaveFailed, NetworkDataset):
    """A torch network, or a failure."""


class CheckpointsDataset(LocalDataset[Any]):
    """The folder where trainings that were killed go on: an input of a node, there or not, never saved by Kedro."""

    def load(self) -> Any:
        from thresher.training.checkpoints import Checkpoints

        return Checkpoints(self._filepath)

    def save(self, data: Any) -> None:
        raise DataError(f"{self._filepath}: only trainings write here; it cannot be the output of a node.")

    def _exists(self) -> bool:
        return True

    def fingerprint(self, hash_of: Callable[[Path], str | None]) -> str:
        """Return always the same: where a training goes on does not change what it comes to."""
        return "checkpoints"
