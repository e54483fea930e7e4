"""What the peers' scripts share: their task, and that a file is made once."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PROGRESS = ":: "
"""How a line begins that is for the reader."""
Make = Callable[[Path], object]
"""Writes one ONNX file."""


class Task:
    """What `compression.py` has written into ``folder`` for all peers.

    Attributes:
        float_file: the model to begin with.
        name: of its input.
        padding: the token that fills shorter texts up; None where samples are no texts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = json.loads((folder / "task.json").read_text(encoding="utf-8"))
        self.float_file, self.name = folder / "float.onnx", str(self.settings["input"])
        self.padding: int | None = self.settings["padding"]

    def calibration(self) -> np.ndarray:
        """Return training samples [N, ...]."""
        inputs: np.ndarray = np.load(self.folder / "calibration.npy")
        return inputs

    def trim(self, batch: np.ndarray) -> np.ndarray:
        """Return ``batch`` [N, ...] without the columns that are padding in every text of it."""
        if self.padding is None:
            return batch
        used = np.flatnonzero((batch != self.padding).any(axis=0))
        return batch[:, : used[-1] + 1]

    def split(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the inputs and labels of training or validation."""
        folder = Path(self.settings[split])
        return np.load(folder / "inputs.npy", mmap_mode="r"), np.load(folder / "labels.npy")

    def make_each(self, peer: str, ways: dict[str, Make]) -> None:
        """Write `PEER_WAY.onnx` for each of ``ways`` that is not there yet, or `PEER_WAY.failed` with the reason.

        Whatever a tool raises is a finding: the others go on. It is tried anew by the next run, since the reason may
        have been this machine's.
        """
        making = self.folder / "making"
        making.mkdir(exist_ok=True)
        for way, make in ways.items():
            target, failed = (self.folder / f"{peer}_{way}.{ending}" for ending in ("onnx", "failed"))
            if target.exists():
                continue
            failed.unlink(missing_ok=True)
            say(f"{peer}_{way}")
            try:
                make(making / target.name)
                (making / target.name).rename(target)
            except Exception as error:
                traceback.print_exc()
                first_line = str(error).strip().partition("\n")[0]
                failed.write_text(f"{type(error).__name__}: {first_line}", encoding="utf-8")


def say(what: str) -> None:
    """Print ``what`` so that `compression.py` passes it on: all else that the tools print goes to a log alone."""
    print(f"{PROGRESS}{what}", flush=True)
