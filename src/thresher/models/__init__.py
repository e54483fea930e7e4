"""The architectures a recipe can name. A new one is one file here and its line in both tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, RootModel

from thresher.models.cnn import Cnn, build_cnn
from thresher.models.lenet import LeNet, build_lenet

if TYPE_CHECKING:
    from torch import nn

FLOAT = "float"
"""The unpruned float model, which is always a candidate."""

Model = Annotated[LeNet | Cnn, Field(discriminator="kind")]


class ModelChoice(RootModel[Model]):
    """A model as a node receives it: Kedro turns parameters into classes, not into unions."""


BUILD: dict[type, Callable[[Any, tuple[int, int, int], int], nn.Module]] = {
    LeNet: build_lenet,
    Cnn: build_cnn,
}
"""Config type -> function (config, (channels, height, width), num_classes) -> float [B, C, H, W] to logits [B, K]."""
