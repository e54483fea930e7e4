"""The network of resnet."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.image.model_input import ImageInput
from thresher.models.resnet.config import STAGES, Resnet


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


def build_resnet(config: Resnet, image: ImageInput, width: int) -> nn.Module:
    """Return the body that maps float [B, C, H, W] to [B, ``width``]; convolutions by He et al.'s initialization."""
    blocks = (config.depth - 2) // (2 * STAGES)
    layers: list[nn.Module] = [
        nn.Conv2d(image.channels, config.width, 3, padding=1, bias=False),
        nn.BatchNorm2d(config.width),
        nn.ReLU(),
    ]
    channels = config.width
    for stage in range(STAGES):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(ResidualBlock(channels, config.width * 2**stage, stride))
            channels = config.width * 2**stage
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, width))
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return body
