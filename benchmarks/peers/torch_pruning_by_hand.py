"""Torch-Pruning as its README shows it, with a finetuning loop such as a user writes, the float model as its teacher.

Run by `compression.py` in the peers' environment. Of Thresher it takes the float network alone, as a module of torch.
"""

from __future__ import annotations

import copy
import sys
from functools import partial
from pathlib import Path

import finetuning
import numpy as np
import onnx
import torch
import torch.nn.functional as F
import torch_pruning
from making import Task
from onnxruntime_alone import quantize
from torch import nn

from thresher.models.storage import load_network

RATIOS = (0.3, 0.5, 0.7)
IMPORTANCES = {
    "taylor": torch_pruning.importance.GroupTaylorImportance,
    "magnitude": torch_pruning.importance.GroupMagnitudeImportance,
}
GRADIENT_SAMPLES = 1024


class Classifier(nn.Module):
    """What is exported: raw inputs to probabilities."""

    def __init__(self, prepare: nn.Module, body: nn.Module) -> None:
        super().__init__()
        self.prepare, self.body = prepare, body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities [N, K]."""
        return self.body(*self.prepare(x)).softmax(dim=1)


def main(folder: Path) -> None:
    """Write `torch_pruning_*.onnx` beside `float.onnx`, and `torch_float.onnx`: the float model as torch exports it."""
    task = Task(folder)
    network = load_network(Path(task.settings["network"])).eval()
    task.make_each("torch", {"float": lambda target: export(task, network.prepare, network.body, target)})
    ways = {}
    for kind in IMPORTANCES:
        for ratio in RATIOS:
            way = f"{kind}_{100 * ratio:.0f}"
            ways[way] = partial(make_pruned, task, network, kind, ratio)
            ways[f"{way}_int8"] = partial(make_int8, task, folder / f"torch_pruning_{way}.onnx")
    task.make_each("torch_pruning", ways)


def make_pruned(task: Task, network: nn.Module, kind: str, ratio: float, target: Path) -> None:
    """Write the float network without the share ``ratio`` of all channels, finetuned."""
    torch.manual_seed(1)
    student = prune(task, network.prepare, copy.deepcopy(network.body), kind, ratio)
    finetuning.finetune(student, network.body, network.prepare, task)
    export(task, network.prepare, student.eval(), target)
    strip(target)


def make_int8(task: Task, source: Path, target: Path) -> None:
    """Write ``source`` as ONNX Runtime's static quantization makes it."""
    if not source.exists():
        raise FileNotFoundError(f"there is no {source.name}")
    quantize(task, source, target)


def prune(task: Task, prepare: nn.Module, model: nn.Module, kind: str, ratio: float) -> nn.Module:
    """Return ``model`` without the share ``ratio`` of the channels of every layer but the last."""
    inputs, labels = task.split("training")
    places = np.sort(np.random.default_rng(1).choice(len(inputs), GRADIENT_SAMPLES, replace=False))
    with torch.no_grad():
        x = prepare(torch.from_numpy(np.array(inputs[places])))
    F.cross_entropy(model(*x), torch.from_numpy(labels[places])).backward()
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    example = tuple(part[:2] for part in x)
    pruner = torch_pruning.pruner.BasePruner(
        model, example, importance=IMPORTANCES[kind](), pruning_ratio=ratio, ignored_layers=[last]
    )
    pruner.step()
    model.zero_grad()
    return model


def export(task: Task, prepare: nn.Module, body: nn.Module, target: Path) -> None:
    """Write both as one ONNX file for any number of samples."""
    example = torch.from_numpy(np.array(task.split("training")[0][:2]))
    torch.onnx.export(
        Classifier(prepare, body).eval(),
        (example,),
        target,
        input_names=[task.name],
        output_names=["probabilities"],
        dynamo=True,
        external_data=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )


def strip(file: Path) -> None:
    """Drop the exporter's source lines from ``file``, as anyone does to whom its size matters."""
    model = onnx.load(file)
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for part in [*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.save(model, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
