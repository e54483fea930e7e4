"""Residual networks for small images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from thresher.config import KindConfig

STAGES = 3


class Resnet(KindConfig):
    """A 3x3 convolution, three stages of residual blocks of two 3x3 convolutions each, and a mean over the image.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015, section 4.2. Where the width changes, the
    shortcut is a 1x1 convolution (their option B): unlike zero padding it can lose channels to pruning.
    """

    kind: Literal["resnet"] = "resnet"
    depth: int = Field(default=20, ge=8, le=1202)
    """Layers with weights, 6n+2 for n blocks a stage: 20, 32, 44, 56, 110."""
    width: int = Field(default=16, ge=1, le=4096)
    """Channels of the first stage; each of the next two has twice as many."""

    def positions_at_last_norm(self, height: int, width: int) -> int:
        """Return how many numbers of one image a channel of the last batch norm gets: two strides of 2 come before."""
        return -(-height // 4) * -(-width // 4)

    @field_validator("depth")
    @classmethod
    def _has_whole_blocks(cls, depth: int) -> int:
        if (depth - 2) % (2 * STAGES):
            below = (depth - 2) // 6 * 6 + 2
            raise ValueError(f"a depth is 6n+2, got {depth}; the nearest are {below} and {below + 6}")
        return depth
