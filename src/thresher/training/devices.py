"""Where to train."""

from __future__ import annotations

import torch

from thresher.errors import TrainingError


def choose_device(name: str) -> torch.device:
    """Return the device for ``training.device``: auto takes CUDA where there is a GPU.

    Raises:
        TrainingError: cuda asked for on a machine where torch sees none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            f"training.device: cuda, but torch {torch.__version__} sees no GPU on this machine. "
            "Use auto or cpu, or install a CUDA build of torch."
        )
    return torch.device(name)
