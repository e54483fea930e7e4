"""Corruptions of pictures, uint8 [N, C, H, W].

Source of the choice: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. Their five severities of ImageNet-C are given beside each setting.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import Field

from thresher.config import KindConfig
from thresher.evaluation.corruptions import DrawnCorruption

AT_ONCE = 256
"""Pictures that are corrupted in floats at a time."""


class GaussianNoise(DrawnCorruption):
    """Every value of every pixel moved by a number of its own from a normal distribution."""

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    std: float = Field(default=0.08, gt=0, le=1)
    """Its standard deviation, as a share of the range from black to white. ImageNet-C: 0.08, 0.12, 0.18, 0.26, 0.38."""


class GaussianBlur(KindConfig):
    """Every pixel the mean of its surroundings, weighted by a normal distribution."""

    kind: Literal["gaussian_blur"] = "gaussian_blur"
    sigma: float = Field(default=1.0, gt=0, le=100)
    """Its standard deviation in pixels. ImageNet-C, of 224 pixels: 1, 2, 3, 4, 6."""


class Contrast(KindConfig):
    """Every pixel brought nearer to the mean of its picture and channel."""

    kind: Literal["contrast"] = "contrast"
    factor: float = Field(default=0.4, gt=0, lt=1)
    """What is left of its distance. ImageNet-C: 0.4, 0.3, 0.2, 0.1, 0.05."""


class JpegCompression(KindConfig):
    """Saved as a JPEG file, and read again."""

    kind: Literal["jpeg"] = "jpeg"
    quality: int = Field(default=25, ge=1, le=95)
    """As Pillow counts it. ImageNet-C: 25, 18, 15, 10, 7."""


def gaussian_noise(images: np.ndarray, config: GaussianNoise, random: np.random.Generator) -> np.ndarray:
    """Return ``images`` as `GaussianNoise` says."""
    return _in_floats(images, lambda part: part + 255 * config.std * random.standard_normal(part.shape))


def gaussian_blur(images: np.ndarray, config: GaussianBlur, random: np.random.Generator) -> np.ndarray:
    """Return ``images`` as `GaussianBlur` says."""
    from scipy.ndimage import gaussian_filter

    return _in_floats(images, lambda part: gaussian_filter(part.astype(np.float32), (0, 0, config.sigma, config.sigma)))


def contrast(images: np.ndarray, config: Contrast, random: np.random.Generator) -> np.ndarray:
    """Return ``images`` as `Contrast` says."""

    def faint(part: np.ndarray) -> np.ndarray:
        centre = part.mean(axis=(2, 3), keepdims=True)
        nearer: np.ndarray = centre + config.factor * (part - centre)
        return nearer

    return _in_floats(images, faint)


def jpeg(images: np.ndarray, config: JpegCompression, random: np.random.Generator) -> np.ndarray:
    """Return ``images``, of one or three channels, as `JpegCompression` says."""
    from PIL import Image

    corrupted = np.empty_like(images)
    for index, image_CHW in enumerate(images):
        file = io.BytesIO()
        pixels = image_CHW[0] if len(image_CHW) == 1 else np.ascontiguousarray(image_CHW.transpose(1, 2, 0))
        Image.fromarray(pixels).save(file, "JPEG", quality=config.quality)
        saved = np.asarray(Image.open(file))
        corrupted[index] = saved[None] if saved.ndim == 2 else saved.transpose(2, 0, 1)
    return corrupted


def _in_floats(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return what ``change`` makes of ``images``, as pixels again; of some at a time, since floats take more memory."""
    corrupted = np.empty_like(images)
    for start in range(0, len(images), AT_ONCE):
        changed = change(images[start : start + AT_ONCE])
        corrupted[start : start + AT_ONCE] = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return corrupted
