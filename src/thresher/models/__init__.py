"""The architectures a recipe can name. A new one is one file here and its line in both tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, RootModel

from thresher.modalities.inputs import ImageInput, ModelInput
from thresher.models.cnn import Cnn, build_cnn
from thresher.models.lenet import LeNet, build_lenet

if TYPE_CHECKING:
    from torch import nn

FLOAT = "float"
"""The unpruned float model, which is always a candidate."""

Model = Annotated[LeNet | Cnn, Field(discriminator="kind")]


class ModelChoice(RootModel[Model]):
    """A model as a node receives it: Kedro turns parameters into classes, not into unions."""


BUILD: dict[type, Callable[[Any, Any, int], nn.Module]] = {
    LeNet: build_lenet,
    Cnn: build_cnn,
}
"""Config type -> function (config, ModelInput, width of the output) -> the body.

A body takes what `PREPARE` gives for its input, and answers [B, width]: logits, or one standardized value.
"""

TAKES: dict[type, tuple[type[ModelInput], ...]] = {
    LeNet: (ImageInput,),
    Cnn: (ImageInput,),
}
"""Config type -> the inputs that it can be built for."""
