"""Settings of EfficientNet-Lite0. No torch in here: a recipe is read without it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from thresher.config import KindConfig


class EfficientNetLite0(KindConfig):
    """EfficientNet-Lite0 (Tan and Le 2019; Liu 2020): no squeeze-and-excitation, and ReLU6 in place of swish."""

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of the 1,280 features that each training step leaves out before the last layer."""
