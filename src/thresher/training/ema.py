"""A moving average of a network's weights."""

from __future__ import annotations

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from thresher.models.network import Network


@torch.no_grad()
def move_average(average: Network, network: Network, decay: float, step: int) -> None:
    """Move the weights and statistics of ``average`` towards those of ``network``; integers are copied.

    The decay begins at 2/11 and rises to ``decay`` with ``step``, which counts from 1, so that a short training is
    no average with its random start (as TensorFlow's ExponentialMovingAverage does with `num_updates`).
    """
    decay = min(decay, (1 + step) / (10 + step))
    averages, currents = list(average.state_dict().values()), list(network.state_dict().values())
    pairs = list(zip(averages, currents, strict=True))
    real = [(kept, now) for kept, now in pairs if kept.is_floating_point()]
    get_ema_multi_avg_fn(decay)([kept for kept, _ in real], [now for _, now in real], step)
    for kept, now in pairs:
        if not kept.is_floating_point():
            kept.copy_(now)
