"""The float model as a module of torch, as a user of the peers holds it, and its export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from making import Task
from torch import nn

from thresher.models.storage import load_network

Prepare = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
CLASSIC_OPSET = 17
"""Of torch's older exporter: in what the newer one writes, ONNX Runtime's fusions find no attention."""


class Encoder(nn.Module):
    """An encoder of the transformers library as its users call it: tokens [N, T] to logits [N, K]."""

    def __init__(self, model: nn.Module, padding: int) -> None:
        super().__init__()
        self.model, self.padding = model, padding

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits [N, K]."""
        logits: torch.Tensor = self.model(input_ids=tokens, attention_mask=(tokens != self.padding).long()).logits
        return logits


@dataclass(frozen=True)
class Float:
    """The float model.

    Attributes:
        prepare: raw inputs to what ``body`` takes.
        body: to logits [N, K].
    """

    prepare: Prepare
    body: nn.Module

    @property
    def is_encoder(self) -> bool:
        """Whether it is an encoder of the transformers library."""
        return isinstance(self.body, Encoder)


class Classifier(nn.Module):
    """What is exported: raw inputs to probabilities."""

    def __init__(self, prepare: Prepare, body: nn.Module) -> None:
        super().__init__()
        self.prepare, self.body = prepare, body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return probabilities [N, K]."""
        answers: torch.Tensor = self.body(*self.prepare(x)).softmax(dim=1)
        return answers


def load_float(task: Task) -> Float:
    """Return the float model; of an encoder of texts, the library's own module with its own attention."""
    network = load_network(Path(task.settings["network"])).eval()
    model = getattr(network.body, "model", None)
    if task.padding is None or not hasattr(model, "set_attn_implementation"):
        return Float(network.prepare, network.body)
    model.set_attn_implementation("eager")
    return Float(as_it_is, Encoder(model, task.padding).eval())


def as_it_is(x: torch.Tensor) -> tuple[torch.Tensor]:
    """Return ``x`` alone."""
    return (x,)


def export(task: Task, prepare: Prepare, body: nn.Module, target: Path) -> None:
    """Write both as one ONNX file for any number of samples, and of tokens."""
    example = torch.from_numpy(np.array(task.split("training")[0][:2]))
    model = Classifier(prepare, body).eval()
    named = {"input_names": [task.name], "output_names": ["probabilities"]}
    axes = {0: "batch"} if task.padding is None else {0: "batch", 1: "length"}
    if isinstance(body, Encoder):
        shapes = {task.name: axes, "probabilities": {0: "batch"}}
        torch.onnx.export(
            model, (example,), target, **named, dynamo=False, opset_version=CLASSIC_OPSET, dynamic_axes=shapes
        )
        return
    dims = {place: torch.export.Dim(name) for place, name in axes.items()}
    torch.onnx.export(
        model,
        (example,),
        target,
        **named,
        dynamo=True,
        external_data=False,
        dynamic_shapes=(dims,),
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
