"""The datasets of a candidate's branch, but for networks: a result, or at the very path of it why there is none."""

from __future__ import annotations

from typing import Any

from thresher.candidate_failure import CandidateFailure
from thresher.datasets.local import ArrayDataset, DocumentDataset, LocalDataset, OnnxDataset
from thresher.datasets.reports import FigureDataset
from thresher.files import replacing_file

MARK = b'{\n  "failed": true'
"""How a kept failure begins; no result does."""


class MayHaveFailed(LocalDataset[Any]):
    """Keeps a failure in the place of the result. It stands before the dataset of the result among a class's bases."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)  # Kedro wraps it in each class: those of the next base are meant

    def load(self) -> Any:
        if self._filepath.is_file():
            with self._filepath.open("rb") as file:
                begins = file.read(len(MARK))
                if begins == MARK:
                    return CandidateFailure.model_validate_json(begins + file.read())
        return super().load()

    def save(self, data: Any) -> None:
        if isinstance(data, CandidateFailure):
            with replacing_file(self._filepath) as beside:
                beside.write_text(data.model_dump_json(indent=2) + "\n", encoding="utf-8")
        else:
            super().save(data)


class CandidateOnnx(MayHaveFailed, OnnxDataset):
    """An ONNX file, or a failure."""


class CandidateArray(MayHaveFailed, ArrayDataset):
    """An array, or a failure."""


class CandidateDocument(MayHaveFailed, DocumentDataset):
    """A typed document, or a failure."""


class CandidateFigure(MayHaveFailed, FigureDataset):
    """A figure, or a failure."""
