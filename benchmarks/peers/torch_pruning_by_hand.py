"""Torch-Pruning as its README shows it, then a plain finetuning loop with the float model as its teacher.

Run by `compression.py` in the project's environment: the float network is read with Thresher, and everything else is
done without it.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torch_pruning
from torch import nn

from thresher.models.storage import load_network

RATIOS = (0.3, 0.5)
TEMPERATURE, TEACHER = 4.0, 0.7
BATCH = 128


class Classifier(nn.Module):
    """What is exported: raw inputs to probabilities."""

    def __init__(self, prepare: nn.Module, body: nn.Module) -> None:
        super().__init__()
        self.prepare, self.body = prepare, body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities [N, K]."""
        return self.body(self.prepare(x)).softmax(dim=1)


def main(folder: Path, network_folder: Path) -> None:
    """Write `torch_pruning_*.onnx` beside `float.onnx`."""
    settings = json.loads((folder / "finetune.json").read_text())
    inputs = torch.from_numpy(np.load(settings["inputs"]))
    labels = torch.from_numpy(np.load(settings["labels"]))
    float_network = load_network(network_folder).eval()
    prepare, teacher = float_network.prepare, float_network.body
    for ratio in RATIOS:
        torch.manual_seed(1)
        student = prune(copy.deepcopy(teacher), prepare(inputs[:BATCH]), labels[:BATCH], ratio)
        finetune(student, teacher, prepare, inputs, labels, settings["epochs"], settings["lr"])
        batch, target = torch.export.Dim("batch"), folder / f"torch_pruning_{100 * ratio:.0f}.onnx"
        torch.onnx.export(
            Classifier(prepare, student.eval()), (inputs[:2],), target,
            input_names=[settings["name"]], output_names=["probabilities"], dynamo=True, external_data=False,
            dynamic_shapes=({0: batch},), verbose=False,
        )  # fmt: skip


def prune(model: nn.Module, x: torch.Tensor, labels: torch.Tensor, ratio: float) -> nn.Module:
    """Remove the share ``ratio`` of all channels by Taylor importance, all layers but the last."""
    model.train()
    F.cross_entropy(model(x), labels).backward()
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    torch_pruning.pruner.MetaPruner(
        model, x[:1], importance=torch_pruning.importance.TaylorImportance(), pruning_ratio=ratio, ignored_layers=[last]
    ).step()
    model.zero_grad()
    return model


def finetune(
    student: nn.Module,
    teacher: nn.Module,
    prepare: nn.Module,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    epochs: int,
    lr: float,
) -> None:
    """Train on with Adam on the labels and the teacher's softened answers."""
    optimizer = torch.optim.Adam(student.parameters(), lr)
    for epoch in range(epochs):
        student.train()
        for places in torch.randperm(len(inputs)).split(BATCH):
            with torch.no_grad():
                x = prepare(inputs[places])
                target = (teacher(x) / TEMPERATURE).softmax(dim=1)
            answers = student(x)
            soft = F.kl_div((answers / TEMPERATURE).log_softmax(dim=1), target, reduction="batchmean")
            loss = (1 - TEACHER) * F.cross_entropy(answers, labels[places]) + TEACHER * TEMPERATURE**2 * soft
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}/{epochs}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
