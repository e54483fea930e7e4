"""Stops a training whose loss is not a finite number, and says at which samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from thresher.errors import TrainingError
from thresher.modalities.samples import EncodedSamples
from thresher.training.batches import Batch, Positions, as_positions
from thresher.training.train_state import TrainState

STEPS_A_LOOK = 20
"""The number of steps between two checks of the loss on a GPU, where a check waits for all queued work."""
NAMED_SAMPLES = 10


class _Seen(NamedTuple):
    step: int
    loss: torch.Tensor
    positions: Positions
    num_samples: int


class DivergenceMonitor:
    """Watches the losses of one training, and adds them up in its position."""

    def __init__(
        self, name: str, samples: EncodedSamples, position: TrainState, device: torch.device,
        last_checkpoint: Callable[[], Path | None],
    ) -> None:  # fmt: skip
        self._name, self._samples, self._position = name, samples, position
        self._last_checkpoint = last_checkpoint
        self._steps_a_look = 1 if device.type == "cpu" else STEPS_A_LOOK
        self._unseen: list[_Seen] = []

    def watch(self, loss: torch.Tensor, batch: Batch) -> None:
        """Take note of the loss of the step that was just done; raises as `look` does."""
        self._unseen.append(_Seen(self._position.step, loss, batch.positions, len(batch.labels)))
        if len(self._unseen) >= self._steps_a_look:
            self.look()

    def look(self) -> None:
        """Look at all losses since the last look.

        Raises:
            TrainingError: one is not finite, with its step and the samples of its batch.
        """
        unseen, self._unseen = self._unseen, []
        losses = torch.stack([seen.loss for seen in unseen]).tolist() if unseen else []
        for seen, loss in zip(unseen, losses, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(self._describe(f"the loss is {loss} at step {seen.step}", seen.positions))
            self._position.add(loss, seen.num_samples)

    def check_validation(self, loss: float) -> None:
        """Raise TrainingError where the validation loss is not finite."""
        if not math.isfinite(loss):
            raise TrainingError(self._describe(f"the validation loss is {loss} after step {self._position.step}", None))

    def _describe(self, what: str, positions: Positions | None) -> str:
        checkpoint = self._last_checkpoint()
        return (
            f"{self._name}: {what}{self._describe_samples(positions) if positions is not None else ''}. "
            f"Last good checkpoint: {checkpoint or 'none'}. Fix: lower training.optimizer.lr, or lr of the "
            "step that trains on, or set training.clip_norm, and look for extreme values in these samples (the "
            "contract's report lists them)."
        )

    def _describe_samples(self, positions: Positions) -> str:
        indices = as_positions(positions)
        named = ", ".join(self._samples.place(index) for index in indices[:NAMED_SAMPLES])
        more = f" and {len(indices) - NAMED_SAMPLES:,} more" if len(indices) > NAMED_SAMPLES else ""
        return f", whose batch is {named}{more}"
