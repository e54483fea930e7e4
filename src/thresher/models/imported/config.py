"""What a recipe says of a model that was trained elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeGuard

from pydantic import ConfigDict, Field, ValidationError, model_validator

from thresher.config import Config, KindConfig, describe_problems
from thresher.errors import nearest
from thresher.kinds.record import ModelKind
from thresher.kinds.registry import registry

ModelPath = Annotated[str, Field(min_length=1)]
Layout = Literal["channels_first", "channels_last"]
OutputKind = Literal["logits", "probabilities", "value"]
Channels = Annotated[tuple[float, ...], Field(min_length=1)]
InputRole = Literal["tokens", "mask", "token_types", "positions"]
Scales = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]


@dataclass(frozen=True)
class ModelFile:
    """A model's file as it lies on disk.

    Attributes:
        name: for errors.
        beside: the content of `NAME.data`, where exporters put the weights of large ONNX models; None where there is
            no such file.
    """

    name: str
    content: bytes
    beside: bytes | None = None

    @property
    def contents(self) -> tuple[bytes, ...]:
        """What is in the files that are read."""
        return (self.content,) if self.beside is None else (self.content, self.beside)


class GraphModel(KindConfig):
    """A graph that is taken as it is: what works on ONNX files can be done to it, and it cannot be trained on."""

    path: ModelPath
    """The file, relative to the project's folder."""
    input_name: str | None = None
    """The graph's input that takes the samples, where there are several."""
    constants: dict[str, float | int | bool] = Field(default_factory=dict)
    """Values of the graph's other inputs, by their names."""
    inputs: dict[str, InputRole] = Field(default_factory=dict)
    """Texts: what each input of the graph is, by its name, where that does not tell. tokens: those of the tokenizer.
    mask: 1 up to the end of a text, 0 after it. token_types: 0. positions: 0, 1, 2 and so on."""
    tokenizer: ModelPath | None = None
    """Texts: the folder with the tokenizer.json that the graph was trained with, relative to the project's folder. Left
    out, the recipe trains a tokenizer of its own, of which the graph knows nothing."""
    output_name: str | None = None
    """The graph's output that answers, where several could."""
    output: Literal["auto"] | OutputKind = "auto"
    """What it answers. auto: value in a regression; in a classification probabilities where the answers to real samples
    are between 0 and 1 and sum to 1, else logits."""
    class_names: tuple[str, ...] = ()
    """The classes in the order of the graph's answers, where it is not that of the data."""
    layout: Literal["auto"] | Layout = "auto"
    """The order of an image's axes, [N, C, H, W] or [N, H, W, C], and of a series' axes, [N, C, T] or [N, T, C]. auto
    infers it from the shape of the graph's input."""
    scale: float | None = Field(default=None, gt=0)
    """Images and series: the graph takes (x * scale - mean) / std of pixels in 0..255, or of the series' own values.
    1/255 for images and 1 for series where it is not given. A graph that takes integers takes pixels as they are."""
    mean: Channels = (0.0,)
    """One for all channels, or one for each."""
    std: Scales = (1.0,)
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Images of three channels: bgr for a graph that takes blue first, as OpenCV and Caffe give it. mean and std are in
    the graph's own order."""
    rows: Literal["raw", "encoded"] = "raw"
    """raw: the graph takes the table's own numbers in the table's order, NaN where one is missing.
    encoded: it takes rows as Thresher's encoder makes them."""

    @model_validator(mode="after")
    def _says_each_once(self) -> Self:
        if both := sorted(self.inputs.keys() & self.constants.keys()):
            raise ValueError(f"'{both[0]}' is in inputs and in constants. Fix: leave it out of one of the two")
        return self


class OnnxModel(GraphModel):
    """An ONNX file of any exporter."""

    kind: Literal["onnx"] = "onnx"


class ExportedModel(GraphModel):
    """A program that torch.export.save has written; torch turns it into ONNX."""

    kind: Literal["exported"] = "exported"
    trust: bool = False
    """Whether the file comes from someone you trust: torch.export.load runs what such a file tells it to."""

    @model_validator(mode="after")
    def _is_trusted(self) -> ExportedModel:
        if not self.trust:
            raise ValueError(
                "reading a .pt2 file can run code that is in it; if you trust where it comes from, add trust: true, "
                "else export the model to ONNX and use kind: onnx"
            )
        return self


class Checkpoint(KindConfig):
    """Weights of a model that can be trained here, to be pruned and finetuned like one's own, or trained further first.

    Besides the fields below it takes those of the architecture, such as `depth` of a resnet.
    """

    model_config = ConfigDict(extra="allow")

    kind: Literal["checkpoint"] = "checkpoint"
    path: ModelPath
    """The file, relative to the project's folder: safetensors, or a state dict that torch.save has written."""
    architecture: str
    """The `kind` of the model, such as resnet."""
    train: bool = False
    """Whether the recipe's training goes on from these weights; otherwise they are the float model as they are."""
    head: Literal["auto", "fresh"] = "auto"
    """With train, the last layer. auto: the file's, where it has as many outputs as the task, else one that is drawn by
    the seed. fresh: drawn in any case."""
    names: dict[str, str | None] = Field(default_factory=dict)
    """Tensors of the file -> those of the architecture, where names differ and shapes do not tell; a * on the right
    stands for what that on the left does, as in `"layer1.*.conv1.*": "3.*.conv1.*"`. null leaves them out."""
    scale: float | None = Field(default=None, gt=0)
    """Images and series, with mean and std: as for an ONNX model. Without mean and std, the training split's."""
    mean: Channels | None = None
    std: Scales | None = None
    standardized: bool = False
    """Whether the model of a regression answers in standard deviations of the training labels, as Thresher trains
    it. With train, the head of one that does not is drawn."""

    @property
    def network(self) -> Any:
        """The architecture's own config."""
        return _architecture(self.architecture).model_validate(self.model_extra)

    @model_validator(mode="before")
    @classmethod
    def _complete_architecture(cls, values: Any) -> Any:
        """Check what is the architecture's own, and write out its defaults."""
        if not isinstance(values, dict) or not isinstance(values.get("architecture"), str):
            return values
        architecture = _architecture(values["architecture"])
        own = {key: value for key, value in values.items() if key not in cls.model_fields}
        return {**values, **_checked(architecture, own).model_dump(mode="json", exclude={"kind"})}

    @model_validator(mode="after")
    def _knows_both(self) -> Checkpoint:
        if (self.mean is None) != (self.std is None):
            raise ValueError("give both of mean and std, or neither")
        if self.scale is not None and self.mean is None:
            raise ValueError("scale has no effect alone; give mean and std too")
        if self.head == "fresh" and not self.train:
            raise ValueError("a head that is drawn answers nothing before it is trained; add train: true")
        return self


ExternalModel = OnnxModel | ExportedModel | Checkpoint
"""One file that somebody else's training has written."""


def is_taken_as_it_is(model: object) -> TypeGuard[ExternalModel]:
    """Return whether ``model`` is a float model already, which no training of the recipe changes."""
    return isinstance(model, ExternalModel) and not (isinstance(model, Checkpoint) and model.train)


def _architecture(name: str) -> type[KindConfig]:
    known = {kind.name: kind for kind in registry().usable(ModelKind) if kind.is_trained_here and kind.is_network}
    if name not in known:
        raise ValueError(f"there is no architecture '{name}'. {nearest(name, known)}")
    found: type[KindConfig] = known[name].config_class
    if shared := sorted(found.model_fields.keys() & Checkpoint.model_fields.keys() - {"kind"}):
        what = f"a checkpoint of '{name}' cannot be described, since both have {', '.join(shared)}"
        raise ValueError(f"{what}. Fix: use kind: {name} itself; settings of an own model may have other names")
    return found


def _checked(architecture: type[Config], own: dict[str, Any]) -> Config:
    try:
        return architecture.model_validate(own)
    except ValidationError as error:
        fields = "path, architecture, train, head, names, scale, mean, std, standardized, and of the architecture"
        what = describe_problems(error, architecture).replace("Allowed keys: kind, ", f"Allowed keys: {fields} ")
        raise ValueError(what) from None
