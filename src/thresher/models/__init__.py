"""The architectures a recipe can name. A new one is one file or folder here, and one record."""

from __future__ import annotations

from typing import Annotated

from pydantic import RootModel

from thresher.config import KindConfig
from thresher.kinds.field import KindOf
from thresher.kinds.record import ModelKind
from thresher.kinds.registry import kind_of

FLOAT = "float"
"""The unpruned float model, which is always a candidate."""

Model = Annotated[KindConfig, KindOf(ModelKind, is_trained_here=True)]
AnyModel = Annotated[KindConfig, KindOf(ModelKind)]
"""What a recipe may name: what Thresher trains, and what was trained elsewhere."""


def is_network(model: KindConfig) -> bool:
    """Return whether ``model`` is made of layers, so that it can be trained step by step, pruned and quantized."""
    return kind_of(ModelKind, model).is_network


class ModelChoice(RootModel[AnyModel]):
    """A model as a node receives it: Kedro turns parameters into classes, not into unions."""
