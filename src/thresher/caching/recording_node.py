"""A node's function that keeps the record of what it did."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import fingerprint
from thresher.caching.records import Dependencies, Record, Records
from thresher.candidate_failure import CandidateFailure
from thresher.contracts.report import ContractReport
from thresher.machine import describe_machine
from thresher.tracking.run_context import current

Datasets = dict[str, AbstractDataset[Any, Any] | None]


@dataclass(frozen=True)
class Recording:
    """All that a record of one node needs.

    Attributes:
        overwritten: (node, input, output) for every input of a node, of this one too, that is the same place as this
            node's output.
    """

    node: str
    dependencies: Dependencies
    inputs: Datasets
    outputs: Datasets
    records: Records
    hashes: Path
    overwritten: tuple[tuple[str, str, str], ...] = ()


class RecordingFunction:
    """Calls a node's function; once all outputs are saved, writes the node's record.

    It is pickled with its node, so that the record is written where the node runs: a run that is killed has recorded
    what it finished.
    """

    def __init__(self, function: Callable[..., Any], recording: Recording) -> None:
        functools.update_wrapper(self, function)
        self.function, self._recording = function, recording
        self._unsaved = set(recording.outputs)
        self._inputs: dict[str, str | None] = {}
        self._unfinished, self._seconds = "", 0.0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._inputs = self._fingerprints(self._recording.inputs)
        began = time.perf_counter()
        result = self.function(*arguments, **options)
        self._seconds = time.perf_counter() - began
        self._unfinished = why_unfinished(result)
        return result

    def saved(self, name: str) -> None:
        """Note that the output ``name`` is written."""
        self._unsaved.discard(name)
        if not self._unsaved:
            self._write()

    def _write(self) -> None:
        recording = self._recording
        outputs = self._fingerprints(recording.outputs)
        record = Record(
            node=recording.node,
            dependencies=recording.dependencies,
            inputs=self._inputs,
            outputs=outputs,
            unfinished=self._unfinished,
            run_id=current().run_id,
            experiment_id=current().experiment_id,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=self._seconds,
            machine=describe_machine(),
        )
        recording.records.write(record)
        # Who read a place before this node overwrote it has its say in what is there now. What it read is gone.
        for node, given, left in recording.overwritten:
            reader = recording.records.read(node)
            if reader is not None:
                inputs = {**reader.inputs, given: outputs[left]}
                recording.records.write(reader.model_copy(update={"inputs": inputs}))

    def _fingerprints(self, datasets: Datasets) -> dict[str, str | None]:
        hashes = FileHashes(self._recording.hashes)
        return {name: fingerprint(dataset, hashes) if dataset else None for name, dataset in datasets.items()}


def why_unfinished(result: Any) -> str:
    """Return why what a node gave is not done although it is complete, or nothing."""
    for value in result if isinstance(result, tuple) else (result,):
        if isinstance(value, ContractReport) and not value.success:
            return "the contract did not hold"
        if isinstance(value, CandidateFailure) and value.may_pass:
            return "it failed on what may pass"
    return ""
