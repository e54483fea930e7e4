"""Techniques that make a model smaller or faster. Each is one file in `network/` or `file/`, and one record."""

from __future__ import annotations

from typing import Annotated, Literal

from thresher.config import KindConfig
from thresher.kinds.field import KindOf
from thresher.kinds.record import TechniqueKind
from thresher.kinds.registry import kind_of

ImportanceKind = Literal["l1", "l2", "taylor", "activations", "batch_norm", "random"]
"""By what a channel matters; see `thresher.compression.network.importance`."""
Technique = Annotated[KindConfig, KindOf(TechniqueKind)]


def works_on(step: Technique) -> Literal["network", "file"]:
    """Return what ``step`` works on: the torch network, or the ONNX file that is exported of it."""
    return kind_of(TechniqueKind, step).works_on
