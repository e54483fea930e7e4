"""The first step of every network for images; it is part of the ONNX graph."""

from __future__ import annotations

import torch
from torch import nn

from thresher.modalities.image.model_input import ImageInput


class ImageTransform(nn.Module):
    """uint8 images [B, C, H, W] to float32 of zero mean and unit variance over the training split."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, spec: ImageInput) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        self.register_buffer("scale", 1 / torch.tensor(spec.std).view(1, -1, 1, 1))

    def forward(self, image_BCHW: torch.Tensor) -> tuple[torch.Tensor]:
        return ((image_BCHW.float() - self.mean) * self.scale,)
