"""Linear and logistic regression."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from thresher.config import KindConfig

if TYPE_CHECKING:
    from torch import nn


class Linear(KindConfig):
    """One weighted sum a class, or one in all for a regression; a category has a weight of its own."""

    kind: Literal["linear"] = "linear"


def build_linear(config: Linear, given: Any, width: int) -> nn.Module:
    """Return the body that maps dense samples [B, ...], or numbers [B, N] and codes [B, M], to [B, ``width``]."""
    from torch import nn

    from thresher.models.tabular import RowLinear

    if given.is_dense:
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(given.longest), width))
    return RowLinear(given, width)
