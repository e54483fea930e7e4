"""A network in training: all that one step changes, and what a step does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from thresher.errors import TrainingError
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.activation_checkpointing import recompute, stop_recomputing
from thresher.training.augmentation import augment
from thresher.training.batches import Batch, Batches, sizes_of_parts
from thresher.training.distillation import Teacher, Teaching
from thresher.training.ema import move_average
from thresher.training.execution import ChosenExecution
from thresher.training.losses import build_loss
from thresher.training.memory import in_parts_that_fit
from thresher.training.optimizers import RATE_FACTOR, build_optimizers, measures_steps
from thresher.training.random_stream import RandomStream, draws_in_training, read_generators, set_generators

NO_SPREAD = "Expected more than 1 value per channel when training"
"""How torch begins to say that a batch norm is given one number a channel."""
DTYPE = {"bf16": torch.bfloat16, "fp16": torch.float16}
State = dict[str, Any]


class Trainer:
    """Learns from one batch at a time.

    Weights that are exactly zero at the start, as `prune_weights` leaves them, stay zero.

    Attributes:
        network: a copy of the one that was given.
        part_size: samples that go through the network at once; halved where memory does not suffice.
    """

    def __init__(
        self,
        network: Network,
        config: Training,
        execution: ChosenExecution,
        labels: np.ndarray,
        device: torch.device,
        batch_size: int,
        teaching: Teaching | None = None,
    ) -> None:
        self.network = copy.deepcopy(network).to(device)
        # torch's lbfgs takes gradients as one row of numbers, which they are in their plain order alone.
        self._channels_last = execution.channels_last and not measures_steps(config.optimizer)
        if self._channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.part_size = -(-batch_size // config.accumulation)
        self._config, self._device, self._step = config, device, 0
        self.random = RandomStream(config.seed, device, draws_in_training(network, config))
        self._loss = build_loss(network.spec.output, config, labels, device)
        self._masks = _zero_masks(self.network)
        self._weights = list(self.network.parameters())
        self._optimizers = build_optimizers(config.optimizer, self.network)
        self._precision = execution.precision if config.precision == "auto" else config.precision
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._precision == "fp16")
        self._average = copy.deepcopy(self.network) if config.ema is not None else None
        self._best: dict[str, torch.Tensor] = {}
        if config.activation_checkpointing:
            recompute(self.network.body)
        self._teacher = Teacher(teaching, self.network, device) if teaching is not None else None
        self._forward = _compiled(self.network, device) if execution.compile else self.network

    def ask_teacher(self, batches: Batches) -> None:
        """Let the teacher answer ``batches``, the whole training split, once and for all where nothing augments it."""
        if self._teacher is not None and not self._config.augmentation:
            self._teacher.remember(batches)

    @property
    def judged(self) -> Network:
        """The network that is validated and kept: the moving average where there is one."""
        return self._average or self.network

    def set_rate(self, factor: float) -> None:
        """Make the learning rate ``factor`` times what the recipe says."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._config.optimizer.lr * factor * group[RATE_FACTOR]

    def learn(self, batch: Batch) -> torch.Tensor:
        """Take one step on ``batch``, augmented, and return its loss before the step, on the device.

        Raises:
            TrainingError: not even one sample fits into memory.
        """
        with self.random.turn():
            return self._learn(batch._replace(inputs=augment(batch.inputs, self._config.augmentation)))

    def _learn(self, batch: Batch) -> torch.Tensor:
        if measures_steps(self._config.optimizer):
            loss = self._search_along(batch)
        else:
            loss = self._gradients(batch)
            self._clip()
            for optimizer in self._optimizers:
                self._scaler.step(optimizer)
            self._scaler.update()
        for weight, mask in self._masks:
            weight.data.mul_(mask)
        self._step += 1
        if self._average is not None:
            assert self._config.ema is not None
            move_average(self._average, self.network, self._config.ema, self._step)
        return loss

    def keep_as_best(self) -> None:
        """Remember the weights as they are now."""
        self._best = {name: tensor.clone() for name, tensor in self.judged.state_dict().items()}

    def result(self) -> Network:
        """Return the network to keep, on the CPU, in evaluation mode; the learner is of no use afterwards."""
        stop_recomputing(self.network.body)
        if self._teacher is not None:
            self._teacher.leave()
        network = self.judged
        if self._config.keep == "best":
            network.load_state_dict(self._best)
        network.zero_grad()
        kept: Network = network.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        return kept.eval()

    def state(self) -> State:
        """Return all that a step depends on or changes, but for random states."""
        return {
            "network": dict(self.network.state_dict()),
            "average": dict(self._average.state_dict()) if self._average is not None else None,
            "best": self._best,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "scaler": self._scaler.state_dict(),
            "step": self._step,
            "part_size": self.part_size,
        }

    def load_state(self, state: State) -> None:
        """Go on from ``state``, as `state` gave it."""
        self.network.load_state_dict(state["network"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._best = {name: tensor.to(self._device) for name, tensor in state["best"].items()}
        for optimizer, kept in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        if self._precision == "fp16":
            self._scaler.load_state_dict(state["scaler"])
        self._step, self.part_size = state["step"], state["part_size"]

    def is_finite(self) -> bool:
        """Return whether every weight is a finite number."""
        return all(bool(torch.isfinite(weight).all()) for weight in self._weights)

    def _gradients(self, batch: Batch) -> torch.Tensor:
        """Leave the gradients of the mean loss over ``batch`` in the weights and return that loss."""
        size = min(self.part_size, len(batch.labels))
        loss, fitted = in_parts_that_fit(lambda part: self._add_gradients(batch, part), size, "training")
        if fitted < size:
            self.part_size = fitted
        for weight, mask in self._masks:
            if weight.grad is not None:
                weight.grad.mul_(mask)
        return loss

    def _add_gradients(self, batch: Batch, size: int) -> torch.Tensor:
        self.network.zero_grad()
        weight = self._loss.weight(batch.labels)
        losses = []
        sizes = sizes_of_parts(len(batch.labels), size)
        recalled = self._teacher.recall(batch.positions) if self._teacher is not None else None
        taught = [None] * len(sizes) if recalled is None else recalled.split(sizes)
        parts = zip(batch.inputs.split(sizes), batch.labels.split(sizes), taught, strict=True)
        for inputs, labels, answers in parts:
            if self._channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            learned = self._answers(inputs)
            loss = self._loss.sum(learned.float(), labels) / weight
            if self._teacher is not None:
                loss = self._teacher.mix(loss, inputs, learned.float(), len(batch.labels), answers)
            self._scaler.scale(loss).backward()
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _answers(self, inputs: torch.Tensor) -> torch.Tensor:
        try:
            with self._autocast():
                answers: torch.Tensor = self._forward(inputs)
        except ValueError as error:
            if not str(error).startswith(NO_SPREAD):
                raise
            raise TrainingError(
                f"A batch norm of this network cannot learn from {len(inputs)} sample at a time, of which it gets one "
                f"number a channel: that has no spread. Fix: training.batch_size of 2 or more, training.accumulation "
                f"(now {self._config.accumulation}) of at most half of that; or larger inputs, or a model without "
                "batch norms."
            ) from error
        return answers

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, DTYPE[self._precision])

    def _clip(self) -> None:
        if self._config.clip_norm is None:
            return
        for optimizer in self._optimizers:
            self._scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(self._weights, self._config.clip_norm)

    def _search_along(self, batch: Batch) -> torch.Tensor:
        """Take one step of an optimizer that computes the loss several times; dropout draws the same each time."""
        optimizer: Any = self._optimizers[0]
        drawn = read_generators(self._device)

        @torch.enable_grad()
        def loss() -> torch.Tensor:
            if self.random.draws:
                set_generators(drawn, self._device)
            return self._gradients(batch)

        return torch.as_tensor(optimizer.step(loss))


def _zero_masks(network: Network) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    # Without embeddings, which begin with zeros: the row of the padding, or all of a linear model's.
    weights = network.prunable_weights()
    return [(weight, (weight != 0).to(weight.dtype)) for weight in weights if (weight == 0).any()]


def _compiled(network: Network, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return ``network`` as one program; on a GPU recorded as CUDA graphs."""
    # Shapes of sequences vary: one program for all. Others have two, that of the last batch of an epoch among them.
    dynamic = None if None in network.spec.input.shape else False
    mode = "reduce-overhead" if device.type == "cuda" else None
    program: Callable[[torch.Tensor], torch.Tensor] = torch.compile(network, mode=mode, dynamic=dynamic)
    if device.type != "cuda":
        return program

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        torch.compiler.cudagraph_mark_step_begin()
        return program(inputs)

    return forward
