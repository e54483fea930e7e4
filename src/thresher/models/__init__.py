"""The architectures a recipe can name. A new one is one file here and its line in both tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, RootModel

from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.model_input import ModelInput
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text.model_input import TextInput
from thresher.models.cnn import Cnn, build_cnn
from thresher.models.cnn1d.config import Cnn1d, build_cnn1d
from thresher.models.imported.config import Checkpoint, ExportedModel, OnnxModel
from thresher.models.lenet import LeNet, build_lenet
from thresher.models.linear import Linear, build_linear
from thresher.models.mlp import Mlp, build_mlp
from thresher.models.recurrent.config import Gru, Lstm, build_recurrent
from thresher.models.resnet.config import Resnet, build_resnet
from thresher.models.textcnn.config import TextCnn, build_textcnn
from thresher.models.transformer.config import Transformer, build_transformer

if TYPE_CHECKING:
    from torch import nn

FLOAT = "float"
"""The unpruned float model, which is always a candidate."""

Architecture = Linear | Mlp | LeNet | Cnn | Resnet | TextCnn | Lstm | Gru | Transformer | Cnn1d
Model = Annotated[Architecture, Field(discriminator="kind")]
AnyModel = Annotated[Architecture | OnnxModel | ExportedModel | Checkpoint, Field(discriminator="kind")]
"""What a recipe may name: what Thresher trains, and what was trained elsewhere."""


class ModelChoice(RootModel[AnyModel]):
    """A model as a node receives it: Kedro turns parameters into classes, not into unions."""


BUILD: dict[type, Callable[[Any, Any, int], nn.Module]] = {
    Linear: build_linear,
    Mlp: build_mlp,
    LeNet: build_lenet,
    Cnn: build_cnn,
    Resnet: build_resnet,
    TextCnn: build_textcnn,
    Lstm: build_recurrent,
    Gru: build_recurrent,
    Transformer: build_transformer,
    Cnn1d: build_cnn1d,
}
"""Config type -> function (config, ModelInput, width of the output) -> the body.

A body takes what `PREPARE` gives for its input, and answers [B, width]: logits, or one standardized value. Its last
linear layer makes the output.
"""

TAKES: dict[type, tuple[type[ModelInput], ...]] = {
    Linear: (ImageInput, TabularInput),
    Mlp: (ImageInput, TabularInput),
    LeNet: (ImageInput,),
    Cnn: (ImageInput,),
    Resnet: (ImageInput,),
    TextCnn: (TextInput,),
    Lstm: (TextInput, SeriesInput),
    Gru: (TextInput, SeriesInput),
    Transformer: (TextInput,),
    Cnn1d: (SeriesInput,),
}
"""Config type -> the inputs that it can be built for."""

HAVE_NO_CHANNELS = (Linear,)
"""Config types without anything between their inputs and their outputs that could be pruned."""
