"""What a recipe says of training; the code stands in the modules beside."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from thresher.config import Config
from thresher.training.optimizers import Adam, Optimizer


class Training(Config):
    """How the float model is trained, and what finetuning starts from."""

    optimizer: Optimizer = Field(default_factory=Adam)
    epochs: int = Field(default=10, ge=1, le=100_000)
    """Passes over the training split."""
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = Field(default=128, union_mode="left_to_right")
    """Samples a step; "full" is batch gradient descent, 1 is stochastic."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Of the split, the initial weights and the order of the samples."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is a GPU, else the CPU."""
