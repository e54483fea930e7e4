"""The training loop: reads top to bottom; the data set lives on the device, no Python loop over samples."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator

import torch
from torch.nn import functional as F

from thresher import progress
from thresher.config import Config
from thresher.errors import TrainingError
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.devices import choose_device
from thresher.training.optimizers import build_optimizer

STEPS_A_REPORT = 50
EVALUATION_BATCH = 2048


class Epoch(Config):
    """What one epoch came to; losses are means over samples, accuracy a share from 0 to 1."""

    epoch: int
    step: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


class TrainingHistory(Config):
    """Every epoch of one training, in order, and the one whose weights were kept."""

    device: str
    epochs: tuple[Epoch, ...]
    best_epoch: int


def train(
    network: Network, training: EncodedSamples, validation: EncodedSamples, config: Training, name: str
) -> tuple[Network, TrainingHistory]:
    """Return a trained copy of ``network`` with the weights of its best epoch by validation loss.

    Weights that are exactly zero, as `prune_weights` leaves them, stay zero.

    Args:
        network: left as it is.
        training: the samples to learn from, inputs uint8 [N, C, H, W].
        validation: judges each epoch; never learned from.
        config: optimizer, epochs, batch size, seed, device.
        name: what the training is called in progress reports and metrics.

    Raises:
        TrainingError: a loss that is not finite, with the step at which it was seen.
    """
    torch.manual_seed(config.seed)
    device = choose_device(config.device)
    network = copy.deepcopy(network).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    masks = _zero_masks(network)
    optimizer = build_optimizer(config.optimizer, network.parameters())
    inputs, labels = to_device(training, device)
    batch_size = len(training) if config.batch_size == "full" else min(config.batch_size, len(training))
    total_steps = config.epochs * math.ceil(len(training) / batch_size)
    step, best_loss, best_weights, epochs = 0, math.inf, network.state_dict(), []
    for epoch in range(1, config.epochs + 1):
        began, losses = time.perf_counter(), []
        network.train()
        for indices in _shuffled_batches(len(training), batch_size, config.seed + epoch, device):
            loss = F.cross_entropy(network(inputs[indices]), labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for weight, mask in masks:
                weight.data.mul_(mask)
            losses.append(loss.detach())
            step += 1
            if step % STEPS_A_REPORT == 0 or step == total_steps:
                _report_step(name, step, total_steps, losses[-STEPS_A_REPORT:])
        validation_loss, accuracy = evaluate_network(network, validation, device)
        finished = Epoch(
            epoch=epoch,
            step=step,
            training_loss=_finite(torch.stack(losses).mean().item(), name, step),
            validation_loss=_finite(validation_loss, name, step),
            validation_accuracy=accuracy,
            seconds=time.perf_counter() - began,
        )
        epochs.append(finished)
        progress.report(progress.TrainingEpoch(training=name, epochs=config.epochs, **finished.model_dump()))
        if validation_loss < best_loss:
            best_loss, best_weights = validation_loss, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_weights)
    best_epoch = min(epochs, key=lambda epoch: epoch.validation_loss).epoch
    network = network.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network.eval(), TrainingHistory(device=str(device), epochs=tuple(epochs), best_epoch=best_epoch)


@torch.inference_mode()
def evaluate_network(network: Network, samples: EncodedSamples, device: torch.device) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy of ``network`` on ``samples``."""
    network.eval()
    inputs, labels = to_device(samples, device)
    loss, correct = 0.0, 0
    for start in range(0, len(samples), EVALUATION_BATCH):
        batch = slice(start, start + EVALUATION_BATCH)
        logits = network(inputs[batch])
        loss += F.cross_entropy(logits, labels[batch], reduction="sum").item()
        correct += int((logits.argmax(1) == labels[batch]).sum())
    return loss / len(samples), correct / len(samples)


def to_device(samples: EncodedSamples, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs uint8 [N, C, H, W] and labels int64 [N] on ``device``."""
    return torch.from_numpy(samples.inputs).to(device), torch.from_numpy(samples.labels).to(device)


def _shuffled_batches(count: int, size: int, seed: int, device: torch.device) -> Iterator[torch.Tensor]:
    # Drawn on the CPU, so that a seed gives the same order on every device.
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(device)
    return iter(order.split(size))


def _zero_masks(network: Network) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    return [(weight, (weight != 0).to(weight.dtype)) for weight in weights if (weight == 0).any()]


def _report_step(name: str, step: int, total_steps: int, losses: list[torch.Tensor]) -> None:
    mean = _finite(torch.stack(losses).mean().item(), name, step)
    progress.report(progress.TrainingStep(name, step, total_steps, mean))


def _finite(loss: float, name: str, step: int) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"{name}: the loss is {loss} at step {step}. Lower training.optimizer.lr, "
            "and look for extreme values in the data (the contract's report lists them)."
        )
    return loss
