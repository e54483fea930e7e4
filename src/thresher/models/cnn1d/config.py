"""Convolutions over time, for series."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from thresher.config import KindConfig

Channels = Annotated[int, Field(ge=1, le=65536)]


class Cnn1d(KindConfig):
    """Convolutions with batch norm and ReLU, each over twice the span of the one before, and the mean over the steps.

    Source: the fully convolutional network of Wang et al., "Time Series Classification from Scratch with Deep Neural
    Networks", 2017, with dilation in place of kernels of several sizes.
    """

    kind: Literal["cnn1d"] = "cnn1d"
    channels: tuple[Channels, ...] = Field(default=(32, 64, 64), min_length=1, max_length=8)
    """Output channels of each convolution, first to last."""
    kernel: int = Field(default=5, ge=1, le=255)
    """Steps that a filter looks at; an odd number, so that it has a middle."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Before the output."""

    @field_validator("kernel")
    @classmethod
    def _has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise ValueError(f"a kernel has a middle, got {kernel}; use {kernel - 1} or {kernel + 1}")
        return kernel
