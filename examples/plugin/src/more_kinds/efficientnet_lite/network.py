"""EfficientNet-Lite0 as TensorFlow's authors published it: blocks that widen, filter each channel, and narrow again.

Padding is TensorFlow's "SAME", which depends on the size of what comes in and may be wider on the right and below.
"""

from __future__ import annotations

import torch
from torch import nn

from more_kinds.efficientnet_lite.config import EfficientNetLite0
from thresher.modalities.image.model_input import ImageInput

STEM, HEAD = 32, 1280
STAGES = (
    # blocks, kernel, stride of the first block, widening, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPS, MOMENTUM = 1e-3, 0.01
Size = tuple[int, int]
"""Height and width."""


class EfficientNetLite0Body(nn.Module):
    """Float images [B, C, H, W] to [B, ``width``]."""

    def __init__(self, config: EfficientNetLite0, image: ImageInput, width: int) -> None:
        super().__init__()
        size = (image.height, image.width)
        self.stem = Filter(image.channels, STEM, kernel=3, stride=2, size=size)
        size, channels, blocks = halved(size), STEM, []
        for repeats, kernel, first_stride, widening, wanted in STAGES:
            for repeat in range(repeats):
                stride = first_stride if repeat == 0 else 1
                blocks.append(Block(channels, wanted, widening, kernel, stride, size))
                channels, size = wanted, halved(size) if stride == 2 else size
        self.blocks = nn.Sequential(*blocks)
        self.head = Filter(channels, HEAD)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(HEAD, width)

    def forward(self, image_BCHW: torch.Tensor) -> torch.Tensor:
        features = self.head(self.blocks(self.stem(image_BCHW))).mean(dim=(2, 3))
        answers: torch.Tensor = self.classify(self.dropout(features))
        return answers


class Block(nn.Module):
    """A 1x1 convolution to more channels, a filter for each of them, a 1x1 convolution back; and what came in."""

    def __init__(self, channels: int, wanted: int, widening: int, kernel: int, stride: int, size: Size) -> None:
        super().__init__()
        wide = channels * widening
        self.expand = Filter(channels, wide) if widening > 1 else nn.Identity()
        self.depthwise = Filter(wide, wide, kernel, stride, groups=wide, size=size)
        self.project = Filter(wide, wanted, activates=False)
        self.adds = stride == 1 and channels == wanted

    def forward(self, given_BCHW: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.project(self.depthwise(self.expand(given_BCHW)))
        return given_BCHW + made if self.adds else made


class Filter(nn.Module):
    """Padding, convolution, normalization and, where it is not left out, ReLU6."""

    def __init__(
        self,
        channels: int,
        wanted: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        size: Size = (1, 1),
        activates: bool = True,
    ) -> None:
        super().__init__()
        (top, bottom), (left, right) = (same_padding(side, kernel, stride) for side in size)
        self.pad = nn.ZeroPad2d((left, right, top, bottom)) if max(bottom, right) else nn.Identity()
        self.conv = nn.Conv2d(channels, wanted, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(wanted, EPS, MOMENTUM)
        self.activate = nn.ReLU6() if activates else nn.Identity()

    def forward(self, given_BCHW: torch.Tensor) -> torch.Tensor:
        filtered: torch.Tensor = self.activate(self.norm(self.conv(self.pad(given_BCHW))))
        return filtered


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many zeros TensorFlow's "SAME" puts before and behind a side of that length."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def halved(size: Size) -> Size:
    """Return what a stride of 2 makes of ``size``."""
    return -(-size[0] // 2), -(-size[1] // 2)
