"""Olive's passes on the ONNX file. Run by `compression.py`, in the peers' environment."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import olive
from olive.data.registry import Registry


class Samples:
    """Calibration samples as Olive's data loaders take them: (inputs, label)."""

    def __init__(self, folder: str, name: str) -> None:
        self._inputs, self._name = np.load(Path(folder) / "calibration.npy"), name

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, place: int) -> tuple[dict[str, np.ndarray], int]:
        return {self._name: self._inputs[place]}, 0


@Registry.register_dataset("calibration_samples")
def calibration_samples(data_dir: str, name: str, **others: Any) -> Samples:
    """Return the samples in ``data_dir``."""
    return Samples(data_dir, name)


def main(folder: Path, name: str) -> None:
    """Write `olive_*.onnx` beside `float.onnx`; what does not work is said, and left out."""
    data = {
        "name": "calibration",
        "load_dataset_config": {"type": "calibration_samples", "params": {"data_dir": str(folder), "name": name}},
        "pre_process_data_config": {"type": "skip_pre_process"},
        "post_process_data_config": {"type": "skip_post_process"},
        "dataloader_config": {"type": "default_dataloader", "params": {"batch_size": 1}},
    }
    ways: dict[str, list[dict[str, Any]]] = {
        "peephole": [{"type": "OnnxPeepholeOptimizer"}],
        "dynamic": [{"type": "OnnxDynamicQuantization"}],
        "static": [{"type": "OnnxStaticQuantization", "data_config": "calibration", "quant_format": "QDQ"}],
    }
    for kind, passes in ways.items():
        output = folder / f"olive_{kind}.tmp"
        config = {
            "input_model": {"type": "ONNXModel", "model_path": str(folder / "float.onnx")},
            "data_configs": [data],
            "passes": {f"pass{number}": each for number, each in enumerate(passes)},
            "output_dir": str(output),
            "cache_dir": str(folder / "olive_cache.tmp"),
        }
        try:
            olive.run(config)
            made = sorted(output.rglob("*.onnx"))
            shutil.copyfile(made[0], folder / f"olive_{kind}.onnx")
        except Exception as error:
            (folder / f"olive_{kind}.failed").write_text(f"{type(error).__name__}: {error}".splitlines()[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
