"""Where a training that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from thresher.errors import DataError
from thresher.events import Step, emit
from thresher.files import replacing_file
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.distillation import Teaching
from thresher.training.execution import ChosenExecution
from thresher.training.state_io import read_metadata, read_state, write_state

FORMAT = 1
SUFFIX = ".safetensors"
FINISHED = "finished"
WITHOUT_INFLUENCE = {"checkpoint_seconds", "memory_limit_mb", "execution", "search", "learning_rate"}
"""Settings that change nothing of what a training comes to, or are decided before it begins."""


class Checkpoints:
    """A folder with the newest state of each training that goes on below it, finished ones among them.

    A state belongs to a key, the hash of all that decides what the training comes to; under any other key it is not
    found. So a chain of trainings that was killed in its second does not repeat the first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str, key: str) -> Path:
        """Return where the state of the training ``name`` lies."""
        return self.folder / f"{_as_file_name(name)}-{key[:20]}{SUFFIX}"

    def load(self, name: str, key: str) -> Any:
        """Return the state that was saved under this key, None where there is none that can be read."""
        path = self.path(name, key)
        if not path.exists():
            self._describe_others(name)
            return None
        try:
            return read_state(path)
        except DataError as error:
            emit(Step(f"{error} {name} starts anew"))
        return None

    def save(self, name: str, key: str, state: Any, finished: bool = False) -> None:
        """Keep ``state`` in place of what was saved under this key before; a crash leaves the old one."""
        with replacing_file(self.path(name, key)) as path:
            write_state(state, path, {"name": name, "key": key, FINISHED: str(finished)})

    def clear(self) -> None:
        """Delete the folder: what the trainings came to has been kept elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _describe_others(self, name: str) -> None:
        others = self.folder.glob(f"{_as_file_name(name)}-*{SUFFIX}")
        if any(not _is_finished(other) for other in others):
            emit(Step(f"{name}: the checkpoint in {self.folder} belongs to other settings or data and is not used"))


def key_of(
    network: Network,
    training: EncodedSamples,
    validation: EncodedSamples,
    config: Training,
    execution: ChosenExecution,
    name: str,
    teaching: Teaching | None = None,
) -> str:
    """Return the hash of all that decides what a training comes to, to the last bit."""
    parts = [
        FORMAT,
        torch.__version__,
        name,
        network.spec.model_dump(mode="json"),
        hash_weights(network),
        config.model_dump(mode="json", exclude=WITHOUT_INFLUENCE),
        execution.model_dump(mode="json", exclude={"trials"}),
        training.content_hash(),
        validation.content_hash(),
    ]
    if teaching is not None:
        shares = [teaching.temperature, teaching.weight, teaching.features, teaching.hidden, list(teaching.pairs)]
        if teaching.relation_pair is not None:
            shares += [teaching.relations, asdict(teaching.relation_pair)]
        parts.append([*_content_of(teaching.network), shares])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _content_of(teacher: Network | np.ndarray) -> list[Any]:
    if isinstance(teacher, np.ndarray):
        return [list(teacher.shape), hashlib.sha256(np.ascontiguousarray(teacher).data).hexdigest()]
    return [teacher.spec.model_dump(mode="json"), hash_weights(teacher)]


def _as_file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def _is_finished(path: Path) -> bool:
    """Return whether ``path`` is of a training that is done, such as the one before in a chain."""
    return read_metadata(path).get(FINISHED) == str(True)


def hash_weights(network: Network) -> str:
    """Return the SHA-256 of all weights and buffers, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
