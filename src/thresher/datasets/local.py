"""The Kedro datasets for what Thresher makes itself: samples, ONNX files, typed documents."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar
from zipfile import BadZipFile

import numpy as np
from kedro.io import AbstractDataset
from pydantic import TypeAdapter

from thresher.config import Config
from thresher.errors import DataError
from thresher.files import replacing_file, replacing_folder
from thresher.modalities.samples import EncodedSamples

Value = TypeVar("Value")


class LocalDataset(AbstractDataset[Value, Value], Generic[Value]):
    """A file or folder in the project, written beside and renamed."""

    def __init__(self, filepath: str) -> None:
        self._filepath = Path(filepath)

    def load(self) -> Value:
        """Return what was saved; raises DataError where nothing was yet, or where it is damaged."""
        raise NotImplementedError

    def save(self, data: Value) -> None:
        """Write ``data`` whole or not at all."""
        raise NotImplementedError

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def _exists(self) -> bool:
        return self._filepath.exists()

    @contextmanager
    def _reading(self) -> Iterator[Path]:
        """Yield the path to read; raises DataError where nothing was saved yet, or where it is damaged."""
        if not self._filepath.exists():
            fix = "Run the nodes that make it first, or the whole recipe"
            raise DataError(f"{self._filepath}: not there yet. {fix} (kedro run --pipeline RECIPE).")
        try:
            yield self._filepath
        except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
            raise DataError(f"{self._filepath}: not readable ({error}). Delete it and run again.") from error


class SamplesDataset(LocalDataset[EncodedSamples]):
    """EncodedSamples as a folder of arrays and JSON.

    Inputs are mapped into memory and not read: a split may be larger than that.
    """

    INPUTS, LABELS, NAMES = "inputs.npy", "labels.npy", "names.json"

    def load(self) -> EncodedSamples:
        with self._reading() as folder:
            names = json.loads((folder / self.NAMES).read_bytes())
            # What has no samples cannot be mapped.
            mode: Any = "r" if names["num_samples"] else None
            inputs = np.load(folder / self.INPUTS, mmap_mode=mode, allow_pickle=False)
            labels = np.load(folder / self.LABELS, allow_pickle=False)
            if not len(inputs) == len(labels) == names["num_samples"]:
                raise ValueError(f"{len(inputs)} inputs and {len(labels)} labels of {names['num_samples']} samples")
            places = None if names["places"] is None else np.array(names["places"], dtype=object)
            return EncodedSamples(inputs, labels, tuple(names["class_names"]), places)

    def save(self, data: EncodedSamples) -> None:
        names = {
            "num_samples": len(data),
            "class_names": data.class_names,
            "places": None if data.places is None else [str(place) for place in data.places],
        }
        with replacing_folder(self._filepath) as folder:
            # Written array by array from where they lie: inputs that are mapped from a file are not read as a whole.
            np.save(folder / self.INPUTS, data.inputs, allow_pickle=False)
            np.save(folder / self.LABELS, data.labels, allow_pickle=False)
            (folder / self.NAMES).write_text(json.dumps(names), encoding="utf-8")


class ArrayDataset(LocalDataset[np.ndarray]):
    """One array as .npy."""

    def load(self) -> np.ndarray:
        with self._reading() as path:
            array: np.ndarray = np.load(path, allow_pickle=False)
        return array

    def save(self, data: np.ndarray) -> None:
        with replacing_file(self._filepath) as path, path.open("wb") as file:
            np.save(file, data, allow_pickle=False)


class OnnxDataset(LocalDataset[bytes]):
    """An ONNX file, as the bytes that are judged and served."""

    def load(self) -> bytes:
        with self._reading() as path:
            return path.read_bytes()

    def save(self, data: bytes) -> None:
        with replacing_file(self._filepath) as path:
            path.write_bytes(data)


class FolderDataset(LocalDataset[dict[str, bytes]]):
    """A folder of small files, by their paths within it."""

    def load(self) -> dict[str, bytes]:
        with self._reading() as folder:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    def save(self, data: dict[str, bytes]) -> None:
        with replacing_folder(self._filepath) as folder:
            for name, content in data.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)


class DocumentDataset(LocalDataset[Config]):
    """A typed document as JSON."""

    DOCUMENTS: ClassVar[dict[str, tuple[str, str]]] = {
        "encoder": ("thresher.modalities", "AnyEncoder"),
        "contract_report": ("thresher.contracts.report", "ContractReport"),
        "fingerprint": ("thresher.modalities.fingerprint", "DataFingerprint"),
        "imported": ("thresher.models.imported.findings", "Imported"),
        "execution": ("thresher.training.execution", "ChosenExecution"),
        "training": ("thresher.training", "Training"),
        "model": ("thresher.models", "ModelChoice"),
        "range_test": ("thresher.training.history", "RangeTest"),
        "search_result": ("thresher.training.hpo", "SearchResult"),
        "training_history": ("thresher.training.history", "TrainingHistory"),
        "sensitivity": ("thresher.search.result", "Sensitivity"),
        "candidate": ("thresher.compression.candidate", "NamedCandidate"),
        "budget_search": ("thresher.search.result", "BudgetSearch"),
        "evaluation": ("thresher.evaluation.evaluation", "Evaluation"),
        "calibration": ("thresher.evaluation.temperature", "Calibration"),
        "decision": ("thresher.evaluation.decision", "ChosenDecision"),
        "set_comparison": ("thresher.evaluation.set_comparison", "SetComparison"),
        "examples": ("thresher.evaluation.corruptions.examples", "CorruptionExamples"),
        "slices": ("thresher.evaluation.slices", "SliceComparison"),
        "exported_quality": ("thresher.evaluation.exported", "ExportedQuality"),
        "baseline": ("thresher.evaluation.baseline", "Baseline"),
        "reference": ("thresher.evaluation.reference", "Reference"),
        "verdict": ("thresher.evaluation.verdict", "Verdict"),
        "challenge": ("thresher.evaluation.promotion_gate", "Challenge"),
    }
    """Module and class of each, imported when one is loaded."""

    def __init__(self, filepath: str, document: str) -> None:
        super().__init__(filepath)
        self._document = document

    @property
    def code(self) -> str:
        """The document's class, as "module:name", on which whoever reads or writes one depends."""
        return ":".join(self.DOCUMENTS[self._document])

    def load(self) -> Config:
        module, name = self.DOCUMENTS[self._document]
        kind: Any = getattr(importlib.import_module(module), name)
        with self._reading() as path:
            document: Config = TypeAdapter(kind).validate_json(path.read_bytes())
        return document

    def save(self, data: Config) -> None:
        with replacing_file(self._filepath) as path:
            path.write_text(data.model_dump_json(indent=2, by_alias=True) + "\n", encoding="utf-8")

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "document": self._document}
