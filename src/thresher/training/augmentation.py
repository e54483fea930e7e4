"""Augmentation of images, on the device, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from thresher.config import KindConfig
from thresher.kinds.field import KindOf
from thresher.kinds.record import AugmentationKind
from thresher.kinds.registry import kind_of

if TYPE_CHECKING:
    import torch


class Flip(KindConfig):
    """Left for right, with a probability of a half."""

    kind: Literal["flip"] = "flip"


class Shift(KindConfig):
    """Moved by up to ``pixels`` in both directions; what comes in is the darkest value."""

    kind: Literal["shift"] = "shift"
    pixels: int = Field(default=2, ge=1, le=1024)


class Crop(KindConfig):
    """A random part of ``share`` of height and width, enlarged to the whole."""

    kind: Literal["crop"] = "crop"
    share: float = Field(default=0.8, gt=0, lt=1)


class Cutout(KindConfig):
    """A random square of 0 (DeVries and Taylor 2017)."""

    kind: Literal["cutout"] = "cutout"
    pixels: int = Field(default=8, ge=1, le=1024)
    """Side of the square; it may hang over the edge."""


Augmentation = Annotated[KindConfig, KindOf(AugmentationKind)]


def augment(images: torch.Tensor, steps: Iterable[Augmentation]) -> torch.Tensor:
    """Return ``images``, uint8 [B, C, H, W], after ``steps``; drawn from torch's own generator of the device."""
    for step in steps:
        images = kind_of(AugmentationKind, step).load()(images, step)
    return images


def flip(images: torch.Tensor, config: Flip) -> torch.Tensor:
    """Return ``images`` as `Flip` says."""
    import torch

    flipped = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(flipped, images.flip(3), images)


def shift(images: torch.Tensor, config: Shift) -> torch.Tensor:
    """Return ``images`` as `Shift` says."""
    import torch
    from torch.nn import functional as F

    count, _, height, width = images.shape
    side = 2 * config.pixels + 1
    down, right = (torch.randint(side, (count, 1), device=images.device) for _ in range(2))
    padded = F.pad(images, (config.pixels,) * 4)
    rows = down + torch.arange(height, device=images.device)
    columns = right + torch.arange(width, device=images.device)
    sample = torch.arange(count, device=images.device)[:, None, None]
    # One gather for the whole batch: advanced indices put the channels last.
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def crop(images: torch.Tensor, config: Crop) -> torch.Tensor:
    """Return ``images`` as `Crop` says."""
    import torch
    from torch.nn import functional as F

    slack = 1 - config.share
    centre = (torch.rand(len(images), 2, device=images.device) * 2 - 1) * slack
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = config.share
    theta[:, :, 2] = centre
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    part = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return part.round().to(images.dtype)


def cutout(images: torch.Tensor, config: Cutout) -> torch.Tensor:
    """Return ``images`` as `Cutout` says."""
    import torch

    count, _, height, width = images.shape
    half = config.pixels / 2
    row = torch.rand(count, 1, 1, 1, device=images.device) * height
    column = torch.rand(count, 1, 1, 1, device=images.device) * width
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    inside = ((rows - row).abs() < half) & ((columns - column).abs() < half)
    return images.masked_fill(inside, 0)
