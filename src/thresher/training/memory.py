"""Work that does not fit into memory is done in halves."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from thresher.errors import TrainingError
from thresher.events import Step, emit
from thresher.machine import free_memory

Result = TypeVar("Result")


def in_parts_that_fit(compute: Callable[[int], Result], size: int, what: str) -> tuple[Result, int]:
    """Return ``compute(size)``, with ``size`` halved as often as memory asks for it, and the size that fitted.

    Args:
        compute: does the whole work in parts of at most so many samples; called again from the start.
        what: is done, in words.

    Raises:
        TrainingError: not even one sample fits.
    """
    while True:
        result = _attempt(compute, size)
        if result is not None:
            return result, size
        # Outside of the except block: the exception holds the frames, and with them the tensors.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise TrainingError(
                f"{what}: not even one sample fits into memory. Fix: a smaller model, training.precision: bf16, or "
                "training.activation_checkpointing: true."
            )
        size = size // 2
        emit(Step(f"{what}: out of memory, going on with {size} samples at a time"))


def _attempt(compute: Callable[[int], Result], size: int) -> Result | None:
    try:
        return compute(size)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that memory ran out, on a GPU or, in torch's own words, on the CPU."""
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def free_bytes(device: torch.device) -> int:
    """Return how much memory ``device`` has free now; on the CPU, without pushing anything out to disk."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory()
