"""Torch-Pruning as its README shows it, with a finetuning loop such as a user writes, the float model as its teacher.

Run by `compression.py` in the peers' environment. Of Thresher it takes the float network alone, as a module of torch.
"""

from __future__ import annotations

import copy
import sys
from functools import partial
from pathlib import Path
from typing import Any

import finetuning
import numpy as np
import torch
import torch.nn.functional as F
import torch_pruning
from exporting import Float, export, load_float, strip
from making import Make, Task
from onnxruntime_alone import fuse, quantize, quantize_per_channel
from torch import nn

IMPORTANCES = {
    "taylor": torch_pruning.importance.GroupTaylorImportance,
    "magnitude": torch_pruning.importance.GroupMagnitudeImportance,
}
WAYS = [(kind, ratio) for kind in IMPORTANCES for ratio in (0.3, 0.5, 0.7)]
FEW_WAYS = [("taylor", 0.3), ("taylor", 0.5), ("magnitude", 0.5)]
LARGE = 10_000_000
"""Bytes of a float model from which each way takes a quarter of an hour and more, and few must do."""
GRADIENT_SAMPLES = 1024
GRADIENT_BATCH = 64
HEADS = ("query", "key", "value")
FEED_FORWARD = "intermediate.dense"
"""Names of a BERT's layers."""


def main(folder: Path) -> None:
    """Write `torch_pruning_*.onnx` beside `float.onnx`."""
    task = Task(folder)
    model = load_float(task)
    ways: dict[str, Make] = {}
    for kind, ratio in WAYS if task.float_file.stat().st_size < LARGE else FEW_WAYS:
        way = f"{kind}_{100 * ratio:.0f}"
        ways[way] = partial(make_pruned, task, model, kind, ratio)
        ways[f"{way}_int8"] = partial(make_int8, task, model, folder / f"torch_pruning_{way}.onnx")
    task.make_each("torch_pruning", ways)


def make_pruned(task: Task, model: Float, kind: str, ratio: float, target: Path) -> None:
    """Write the float network without the share ``ratio`` of its channels, or of heads and feed-forward; finetuned."""
    torch.manual_seed(1)
    student = prune(task, Float(model.prepare, copy.deepcopy(model.body)), kind, ratio)
    finetuning.finetune(student, model.body, model.prepare, task)
    export(task, model.prepare, student.eval(), target)
    strip(target)


def make_int8(task: Task, model: Float, source: Path, target: Path) -> None:
    """Write ``source`` as ONNX Runtime quantizes it: an encoder fused and dynamically, others statically."""
    if not source.exists():
        raise FileNotFoundError(f"there is no {source.name}")
    if not model.is_encoder:
        quantize(task, source, target)
        return
    fused = target.with_name("fused.onnx")
    fuse(source, fused)
    quantize_per_channel(fused, target)
    fused.unlink()


def prune(task: Task, model: Float, kind: str, ratio: float) -> nn.Module:
    """Return the pruned body; its last layer keeps its width, and an encoder's hidden states keep theirs."""
    example = learn_gradients(task, model)
    body = model.body
    last = [layer for layer in body.modules() if isinstance(layer, nn.Linear)][-1]
    how = encoder_options(body, ratio) if model.is_encoder else {"ignored_layers": [last]}
    pruner = torch_pruning.pruner.BasePruner(body, example, importance=IMPORTANCES[kind](), pruning_ratio=ratio, **how)
    pruner.step()
    for attention in attentions(body):
        attention.num_attention_heads = pruner.num_heads[attention.query]
        attention.all_head_size = attention.query.out_features
    body.zero_grad()
    return body


def learn_gradients(task: Task, model: Float) -> tuple[torch.Tensor, ...]:
    """Give the weights the gradients of the loss on some training samples; return two of these."""
    inputs, labels = task.split("training")
    places = np.sort(np.random.default_rng(1).choice(len(inputs), min(GRADIENT_SAMPLES, len(inputs)), replace=False))
    for start in range(0, len(places), GRADIENT_BATCH):
        some = places[start : start + GRADIENT_BATCH]
        with torch.no_grad():
            x = model.prepare(torch.from_numpy(task.trim(np.array(inputs[some]))))
        loss = F.cross_entropy(model.body(*x), torch.from_numpy(labels[some]), reduction="sum")
        (loss / len(places)).backward()
    return tuple(part[:2] for part in x)


def encoder_options(body: nn.Module, ratio: float) -> dict[str, Any]:
    """Return how heads go whole, and feed-forward units, while all else stays as wide as it is."""
    cut = [layer for name, layer in body.named_modules() if name.endswith((*HEADS, FEED_FORWARD))]
    if not attentions(body):
        raise ValueError(
            "the heads of this encoder are not cut by hand yet: add its layers to torch_pruning_by_hand.py"
        )
    kept = [layer for layer in body.modules() if isinstance(layer, (nn.Linear, nn.Embedding, nn.LayerNorm))]
    heads = {
        getattr(attention, part): attention.num_attention_heads for attention in attentions(body) for part in HEADS
    }
    return {
        "ignored_layers": [layer for layer in kept if not any(layer is one for one in cut)],
        "num_heads": heads,
        "prune_num_heads": True,
        "prune_head_dims": False,
        "head_pruning_ratio": ratio,
    }


def attentions(body: nn.Module) -> list[Any]:
    """Return the modules of a BERT that hold heads."""
    return [module for module in body.modules() if all(hasattr(module, part) for part in HEADS)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
