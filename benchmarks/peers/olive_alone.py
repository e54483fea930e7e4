"""Olive's passes on the ONNX file, each alone, by `olive.run`, and the schedules of `olive optimize`.

Run by `compression.py`, in the peers' environment.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import olive
from making import Make, Task
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
PASSES_FOR_TEXTS: dict[str, dict[str, Any]] = {
    "ort_transformers": {"type": "OrtTransformersOptimization", "model_type": "bert"},
    "dynamic_per_channel": {"type": "OnnxDynamicQuantization", "per_channel": True},
}
SCHEDULES = ("int8", "int4")
"""Precisions of `olive optimize`, which is made for texts alone."""


class Samples:
    """Calibration samples as Olive's data loaders take them: (inputs, label)."""

    def __init__(self, folder: Path) -> None:
        task = Task(folder)
        self._task, self._inputs = task, task.calibration()

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, place: int) -> tuple[dict[str, np.ndarray], int]:
        return {self._task.name: self._task.trim(self._inputs[place : place + 1])[0]}, 0


@Registry.register_dataset("calibration_samples")
def calibration_samples(data_dir: str, **others: Any) -> Samples:
    """Return the samples in ``data_dir``."""
    return Samples(Path(data_dir))


def main(folder: Path) -> None:
    """Write `olive_*.onnx` beside `float.onnx`."""
    task = Task(folder)
    passes, schedules = (PASSES, ()) if task.padding is None else (PASSES | PASSES_FOR_TEXTS, SCHEDULES)
    ways: dict[str, Make] = {way: partial(run_pass, task, one) for way, one in passes.items()}
    ways |= {f"optimize_{precision}": partial(optimize, task, precision) for precision in schedules}
    task.make_each("olive", ways)


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
    take(output, target)


def optimize(task: Task, precision: str, target: Path) -> None:
    """Write what `olive optimize` makes of the float model, as it chooses its passes itself."""
    output = task.folder / "making" / f"{target.stem}_output"
    command = [sys.executable, "-m", "olive", "optimize", "-m", str(task.float_file), "--precision", precision]
    provider = ["--provider", "CPUExecutionProvider", "--device", "cpu"]
    done = subprocess.run([*command, *provider, "-o", str(output)], capture_output=True, text=True, cwd=task.folder)
    print(done.stdout, done.stderr)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    take(output, target)


def take(output: Path, target: Path) -> None:
    """Copy the file that Olive has written into ``output`` to ``target``."""
    made = sorted(output.rglob("*.onnx"))
    if not made:
        raise RuntimeError("Olive made no file and raised nothing: the reason is in its log")
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
