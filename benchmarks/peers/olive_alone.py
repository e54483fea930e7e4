"""Olive's passes on the ONNX file, each alone, by `olive.run`. Run by `compression.py`, in the peers' environment."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import olive
from making import Task
from olive.data.registry import Registry

PASSES: dict[str, dict[str, Any]] = {
    "peephole": {"type": "OnnxPeepholeOptimizer"},
    "ort_transformers": {"type": "OrtTransformersOptimization", "only_onnxruntime": True, "opt_level": 2},
    "dynamic": {"type": "OnnxDynamicQuantization"},
    "static": {"type": "OnnxStaticQuantization", "data_config": "calibration"},
    "static_uint8": {
        "type": "OnnxStaticQuantization",
        "data_config": "calibration",
        "precision": "uint8",
        "activation_type": "uint8",
    },
    "weights_int4": {"type": "OnnxBlockWiseRtnQuantization"},
}


class Samples:
    """Calibration samples as Olive's data loaders take them: (inputs, label)."""

    def __init__(self, folder: Path) -> None:
        task = Task(folder)
        self._inputs, self._name = task.calibration(), task.name

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, place: int) -> tuple[dict[str, np.ndarray], int]:
        return {self._name: self._inputs[place]}, 0


@Registry.register_dataset("calibration_samples")
def calibration_samples(data_dir: str, **others: Any) -> Samples:
    """Return the samples in ``data_dir``."""
    return Samples(Path(data_dir))


def main(folder: Path) -> None:
    """Write `olive_*.onnx` beside `float.onnx`."""
    task = Task(folder)
    task.make_each("olive", {way: partial(run_pass, task, one) for way, one in PASSES.items()})


def run_pass(task: Task, one: dict[str, Any], target: Path) -> None:
    """Write what the pass ``one`` makes of the float model."""
    output = task.folder / "making" / f"{target.stem}_output"
    olive.run(
        {
            "input_model": {"type": "ONNXModel", "model_path": str(task.float_file)},
            "data_configs": [data_config(task.folder)],
            "passes": {"only": one},
            "output_dir": str(output),
            "cache_dir": str(task.folder / "making" / "olive_cache"),
        }
    )
    made = sorted(output.rglob("*.onnx"))
    if not made:
        raise RuntimeError("olive.run made no file and raised nothing: the reason is in its log")
    shutil.copyfile(made[0], target)


def data_config(folder: Path) -> dict[str, Any]:
    """Return where the calibration samples come from."""
    return {
        "name": "calibration",
        "load_dataset_config": {"type": "calibration_samples", "params": {"data_dir": str(folder)}},
        "pre_process_data_config": {"type": "skip_pre_process"},
        "post_process_data_config": {"type": "skip_post_process"},
        "dataloader_config": {"type": "default_dataloader", "params": {"batch_size": 1}},
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
