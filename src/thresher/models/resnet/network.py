"""The residual block."""

from __future__ import annotations

import torch
from torch import nn


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))), float [B, C, H, W]."""

    def __init__(self, channels: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != channels_out:
            projection = nn.Conv2d(channels, channels_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(channels_out))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        inner = self.relu1(self.norm1(self.conv1(x_BCHW)))
        out: torch.Tensor = self.relu2(self.shortcut(x_BCHW) + self.norm2(self.conv2(inner)))
        return out
