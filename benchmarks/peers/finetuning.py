"""A finetuning loop as a user of Torch-Pruning writes it, with the settings that Thresher's winner was given."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from exporting import Prepare
from making import Task, say
from torch import nn

OPTIMIZERS = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW", "nadam": "NAdam"}
"""Name in a recipe -> torch's."""
VALIDATION_BATCH = 500


def finetune(student: nn.Module, teacher: nn.Module, prepare: Prepare, task: Task) -> None:
    """Train ``student`` on, on the labels and the teacher's softened answers; the best epoch's weights are kept."""
    settings = task.settings["finetuning"]
    inputs, labels = (np.array(part) for part in task.split("training"))
    steps = settings["epochs"] * -(-len(inputs) // settings["batch_size"])
    optimizer = build_optimizer(student, settings["optimizer"])
    schedule = build_schedule(optimizer, settings["schedule"], settings["optimizer"]["lr"], steps)
    best, least = None, float("inf")
    for epoch in range(settings["epochs"]):
        student.train()
        for places in torch.randperm(len(inputs)).split(settings["batch_size"]):
            batch, given = torch.from_numpy(task.trim(inputs[places])), torch.from_numpy(labels[places])
            with torch.no_grad(), lower_precision(settings):
                x = prepare(augment(batch, settings["augmentation"]))
                soft = (teacher(*x).float() / settings["temperature"]).softmax(dim=1)
            optimizer.zero_grad()
            with lower_precision(settings):
                answers = student(*x).float()
            distillation_loss(answers, given, soft, settings).backward()
            if settings["clip_norm"] is not None:
                nn.utils.clip_grad_norm_(student.parameters(), settings["clip_norm"])
            optimizer.step()
            schedule.step()
        loss = validation_loss(student, prepare, task)
        say(f"epoch {epoch + 1}/{settings['epochs']}: validation loss {loss:.4f}")
        if loss < least or settings["keep"] == "last":
            best, least = copy.deepcopy(student.state_dict()), loss
    student.load_state_dict(best)


def lower_precision(settings: dict[str, Any]) -> torch.autocast:
    """Return what has torch compute in bfloat16, where the float model was trained in it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=settings["precision"] == "bf16")


def distillation_loss(
    answers: torch.Tensor, labels: torch.Tensor, soft: torch.Tensor, settings: dict[str, Any]
) -> torch.Tensor:
    """Return Hinton's: labels, and the teacher's answers at a temperature."""
    weight, temperature = settings["weight"], settings["temperature"]
    told = F.kl_div((answers / temperature).log_softmax(dim=1), soft, reduction="batchmean")
    return (1 - weight) * F.cross_entropy(answers, labels) + weight * temperature**2 * told


def build_optimizer(student: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Return torch's optimizer with the recipe's settings."""
    options = {name: value for name, value in settings.items() if name != "kind"}
    optimizer: torch.optim.Optimizer = getattr(torch.optim, OPTIMIZERS[settings["kind"]])(
        student.parameters(), **options
    )
    return optimizer


def build_schedule(
    optimizer: torch.optim.Optimizer, settings: dict[str, Any], lr: float, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return torch's schedule that is nearest to the recipe's; a warm-up is left out."""
    schedules = torch.optim.lr_scheduler
    kind = settings["kind"]
    if kind == "one_cycle":
        start, final = settings["start"], settings["final"]
        return schedules.OneCycleLR(
            optimizer, lr, steps, settings["rise"], cycle_momentum=False,
            div_factor=1 / start, final_div_factor=start / max(final, 1e-12),
        )  # fmt: skip
    if kind == "cosine":
        return schedules.CosineAnnealingLR(optimizer, steps, eta_min=settings["final"] * lr)
    if kind == "step":
        return schedules.MultiStepLR(optimizer, [int(at * steps) for at in settings["at"]], settings["factor"])
    return schedules.ConstantLR(optimizer, factor=1.0)


def augment(images: torch.Tensor, steps: list[dict[str, Any]]) -> torch.Tensor:
    """Return ``images`` flipped and moved at random, where the recipe does that."""
    for step in steps:
        if step["kind"] == "flip":
            images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)
        elif step["kind"] == "shift":
            images = shift(images, step["pixels"])
        else:
            raise ValueError(f"augmentation {step['kind']} is not written by hand yet: add it to finetuning.py")
    return images


def shift(images: torch.Tensor, pixels: int) -> torch.Tensor:
    """Return each image moved by up to ``pixels`` in both directions."""
    height, width = images.shape[2:]
    padded = F.pad(images, (pixels,) * 4)
    corners = torch.randint(2 * pixels + 1, (len(images), 2)).tolist()
    moved = [one[:, top : top + height, left : left + width] for one, (top, left) in zip(padded, corners, strict=True)]
    return torch.stack(moved)


def validation_loss(student: nn.Module, prepare: Prepare, task: Task) -> float:
    """Return the mean cross-entropy over the validation split."""
    inputs, labels = task.split("validation")
    student.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(inputs), VALIDATION_BATCH):
            x = prepare(torch.from_numpy(task.trim(np.array(inputs[start : start + VALIDATION_BATCH]))))
            given = torch.from_numpy(labels[start : start + VALIDATION_BATCH])
            total += float(F.cross_entropy(student(*x), given, reduction="sum"))
    return total / len(inputs)
