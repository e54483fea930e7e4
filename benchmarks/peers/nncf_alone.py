"""NNCF on the ONNX file, as its documentation shows it. Run by `compression.py`, in the peers' environment."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from making import Task

INT8, INT4 = nncf.CompressWeightsMode.INT8_ASYM, nncf.CompressWeightsMode.INT4_SYM
INT4_OPSET = 21
NUM_VALIDATION = 2000
"""Samples by which the accuracy control decides."""


def main(folder: Path) -> None:
    """Write `nncf_*.onnx` beside `float.onnx`."""
    task = Task(folder)
    samples = as_dataset(task, task.calibration())
    mixed = nncf.QuantizationPreset.MIXED
    task.make_each(
        "nncf",
        {
            "int8": lambda target: onnx.save(nncf.quantize(load(task), samples, **options(task)), target),
            "int8_mixed": lambda target: onnx.save(
                nncf.quantize(load(task), samples, preset=mixed, **options(task)), target
            ),
            "int8_controlled": lambda target: onnx.save(quantize_controlled(task, samples), target),
            "weights_int8": lambda target: onnx.save(nncf.compress_weights(load(task)), target),
            "linear_weights_int8": lambda target: onnx.save(compress_linear(task, INT8), target),
            "linear_weights_int4": lambda target: onnx.save(
                compress_linear(task, INT4, group_size=-1, all_layers=True), target
            ),
        },
    )


def options(task: Task) -> dict[str, Any]:
    """Return what every quantization of the model is told."""
    kind = None if task.padding is None else nncf.ModelType.TRANSFORMER
    return {"subset_size": len(task.calibration()), "model_type": kind}


def load(task: Task) -> onnx.ModelProto:
    """Return the float model anew: NNCF changes what it is given."""
    return onnx.load(task.float_file)


def compress_linear(task: Task, mode: nncf.CompressWeightsMode, **options: Any) -> onnx.ModelProto:
    """Return the model with the weights of its linear layers compressed.

    Not of convolutions, since ONNX Runtime refuses what NNCF writes for those; and by opset 21, the first with int4.
    """
    newer = onnx.version_converter.convert_version(load(task), INT4_OPSET)
    return nncf.compress_weights(newer, mode=mode, ignored_scope=nncf.IgnoredScope(types=["Conv"]), **options)


def as_dataset(task: Task, inputs: np.ndarray) -> nncf.Dataset:
    """Return ``inputs`` one by one."""
    return nncf.Dataset([{task.name: task.trim(inputs[place : place + 1])} for place in range(len(inputs))])


def quantize_controlled(task: Task, samples: nncf.Dataset) -> onnx.ModelProto:
    """Return the model in int8, with as many layers in float as the recipe's bound on the accuracy drop needs."""
    inputs, labels = task.split("validation")
    few = as_dataset(task, np.asarray(inputs[:NUM_VALIDATION]))

    def validate(changed: onnx.ModelProto, data: Iterable[dict[str, Any]]) -> tuple[float, list[float]]:
        session = onnxruntime.InferenceSession(changed.SerializeToString(), providers=["CPUExecutionProvider"])
        classes = [int(session.run(None, sample)[0].argmax()) for sample in data]
        right = [float(one == label) for one, label in zip(classes, labels, strict=False)]
        return float(np.mean(right)), right

    return nncf.quantize_with_accuracy_control(
        load(task),
        samples,
        few,
        validate,
        max_drop=task.settings["at_most"] or 0.01,
        **options(task),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
