"""Linear and logistic regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from thresher.config import KindConfig
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.tabular.model_input import TabularInput

if TYPE_CHECKING:
    from torch import nn


class Linear(KindConfig):
    """One weighted sum a class, or one in all for a regression; a category has a weight of its own."""

    kind: Literal["linear"] = "linear"


def build_linear(config: Linear, given: ImageInput | TabularInput, width: int) -> nn.Module:
    """Return the body that maps images [B, C, H, W], or numbers [B, N] and codes [B, M], to [B, ``width``]."""
    from torch import nn

    from thresher.models.tabular import RowLinear

    if isinstance(given, ImageInput):
        channels, height, across = given.longest
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * across, width))
    return RowLinear(given, width)
