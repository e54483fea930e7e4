"""The datasets of a candidate's branch, but for networks: a result, or at the very path of it why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thresher.candidate_failure import CandidateFailure
from thresher.datasets.local import ArrayDataset, DocumentDataset, OnnxDataset
from thresher.datasets.reports import FigureDataset
from thresher.files import replacing_file

MARK = b'{\n  "failed": true'
"""How a kept failure begins; no result does."""


class CandidateOnnx(OnnxDataset):
    """An ONNX file, or a failure."""

    def load(self) -> Any:
        return read_failed(self._filepath) or super().load()

    def save(self, data: Any) -> None:
        if not is_kept(data, self._filepath):
            super().save(data)


class CandidateArray(ArrayDataset):
    """An array, or a failure."""

    def load(self) -> Any:
        return read_failed(self._filepath) or super().load()

    def save(self, data: Any) -> None:
        if not is_kept(data, self._filepath):
            super().save(data)


class CandidateDocument(DocumentDataset):
    """A typed document, or a failure."""

    def load(self) -> Any:
        return read_failed(self._filepath) or super().load()

    def save(self, data: Any) -> None:
        if not is_kept(data, self._filepath):
            super().save(data)


class CandidateFigure(FigureDataset):
    """A figure, or a failure."""

    def load(self) -> Any:
        return read_failed(self._filepath) or super().load()

    def save(self, data: Any) -> None:
        if not is_kept(data, self._filepath):
            super().save(data)


def is_kept(data: Any, path: Path) -> bool:
    """Write ``data`` to ``path`` where it is a failure, and return whether it is one."""
    if not isinstance(data, CandidateFailure):
        return False
    with replacing_file(path) as beside:
        beside.write_text(data.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return True


def read_failed(path: Path) -> CandidateFailure | None:
    """Return the failure that is kept at ``path``, or None where a result is, or nothing."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        begins = file.read(len(MARK))
        return CandidateFailure.model_validate_json(begins + file.read()) if begins == MARK else None
