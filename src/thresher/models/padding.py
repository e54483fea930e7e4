"""Which steps of padded sequences are real."""

from __future__ import annotations

import torch


def mark_steps(lengths_B: torch.Tensor, num_steps: int) -> torch.Tensor:
    """Return float32 [B, T]: 1 for the steps of each sequence, 0 for its padding."""
    return (torch.arange(num_steps, device=lengths_B.device)[None] < lengths_B[:, None]).float()
