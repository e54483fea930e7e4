"""Which steps of padded sequences are real."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def mark_steps(lengths_B: torch.Tensor, num_steps: int) -> torch.Tensor:
    """Return float32 [B, T]: 1 for the steps of each sequence, 0 for its padding."""
    return (torch.arange(num_steps, device=lengths_B.device)[None] < lengths_B[:, None]).float()


def mark_real(prepared: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """Return the same of what a network's `prepare` made, its steps first; None where samples have no lengths."""
    lengths = next((each for each in prepared if each.ndim == 1 and each.dtype == torch.int64), None)
    return None if lengths is None else mark_steps(lengths, int(prepared[0].shape[1]))
