"""The record of a kind, one class a group. Each attribute is something that a recipe's rules or its run ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from importlib import import_module
from math import inf
from typing import Any, ClassVar, Literal

from thresher.errors import FOREIGN, ThresherError, describe_import_error


class KindError(ThresherError):
    """A kind that cannot be used: it is not there, cannot be imported, or is given twice."""


@dataclass(frozen=True)
class Kind:
    """What every record has.

    Attributes:
        name: the `kind` that a recipe writes, in lower-case letters, digits and _.
        config: `module:Class` of its settings, a `thresher.config.KindConfig` whose `kind` is the name.
        implementation: `module:function` or `module:Class`; each group says how it is called.
    """

    group: ClassVar[str]
    fields: ClassVar[tuple[str, ...]] = ("kind",)
    """Fields that its settings have at least."""
    parts: ClassVar[tuple[str, ...]] = ("config", "implementation")
    """Attributes that name code."""
    loaded_by: ClassVar[Mapping[str, str]] = {}
    """Part -> the one module of ours that loads it: code that does not reach that module does not use the part."""
    name: str
    config: str
    implementation: str

    @property
    def config_class(self) -> Any:
        """The class of its settings; raises a KindError if it cannot be imported, or is not this kind's."""
        return self.class_of("config")

    def class_of(self, part: str) -> Any:
        """Return the class that ``part`` names, such as config; raises a KindError as `config_class` does."""
        found = self.load(part)
        has = getattr(found, "model_fields", {})
        if not set(self.fields) <= set(has) or has["kind"].default != self.name:
            raise KindError(
                f"{self.group} '{self.name}': {getattr(self, part)} is not its {part}. Fix: a class that inherits from "
                f"thresher.config.KindConfig, has {' and '.join(self.fields)}, and the line "
                f'kind: Literal["{self.name}"] = "{self.name}".'
            )
        return found

    def load(self, part: str = "implementation") -> Any:
        """Return what ``part`` names; raises a KindError if it cannot be imported."""
        return load(getattr(self, part), f"{self.group} '{self.name}'")

    def check(self) -> None:
        """Import all that it names; raises a KindError if it cannot be used."""
        for part in self.parts:
            if getattr(self, part):
                _ = self.config_class if part == "config" else self.load(part)

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of the parts that are loaded wherever the kind is used, each once."""
        texts = (getattr(self, part) for part in self.parts if part not in self.loaded_by)
        return tuple(dict.fromkeys(text.partition(":")[0] for text in texts if text))

    @property
    def traits(self) -> dict[str, Any]:
        """What is true of it beyond its name and its code: the attributes that are not at their default."""
        own = [each for each in fields_of(self) if each.name not in ("name", *self.parts)]
        return {each.name: value for each in own if (value := getattr(self, each.name)) != each.default}


def load(text: str, whose: str) -> Any:
    """Return what ``text``, `module:name`, names; ``whose`` it is begins the KindError where it cannot be imported."""
    module, _, name = text.partition(":")
    try:
        return getattr(import_module(module), name)
    except FOREIGN as error:
        raise KindError(f"{whose}: {text} cannot be imported: {describe_import_error(error)}") from error


@dataclass(frozen=True)
class ModelKind(Kind):
    """An architecture. Its implementation is called as (config, ModelInput, width) and returns the body, an nn.Module.

    The body takes what the modality prepares inside the graph, such as float [B, C, H, W], and gives [B, width]:
    logits, or one standardized value. Its last linear layer makes the output. Of what is no network, it is called as
    (config, FitData) and returns a Fitted, which has the ONNX file.

    Attributes:
        takes: the modalities that it can be built for.
        has_channels: whether anything between inputs and outputs can be removed by `prune_channels`.
        has_blocks: whether `drop_layers` may find any; its settings say how many by a property `num_blocks`, where they
            know it.
        has_attention: whether `distill` may compare what it attends to.
        is_trained_here: false for a model that a file brings along.
        is_network: false for a model that is fitted as a whole, such as trees, and makes its own ONNX file.
    """

    group: ClassVar[str] = "model"
    takes: tuple[str, ...] = ()
    has_channels: bool = True
    has_blocks: bool = True
    has_attention: bool = False
    is_trained_here: bool = True
    is_network: bool = True


@dataclass(frozen=True)
class TechniqueKind(Kind):
    """A step of a candidate's chain.

    On the network, its implementation is called as (Network, config, CompressionData) and returns another Network; on
    the file, as (bytes, config, CalibrationData), and returns the bytes of another ONNX file.

    Attributes:
        works_on: the torch network, or the ONNX file that is exported of it; the network's techniques come first.
        ends_chain: whether nothing but a technique that follows all may come after it.
        follows_all: whether it may come after a technique that ends a chain.
        is_searchable: whether `search.techniques` may name it.
        changes_structure: whether it changes the shape of the network's layers.
        removes_channels: whether it needs a model that has channels.
        removes_blocks: whether it needs a model that has blocks.
        takes: the modalities whose networks it takes; all where there is none.
        once: whether a chain may have it once alone.
        quantizes: whether it stores the weights of layers in fewer bits.
    """

    group: ClassVar[str] = "technique"
    works_on: Literal["network", "file"] = field(kw_only=True)
    ends_chain: bool = False
    follows_all: bool = False
    is_searchable: bool = False
    changes_structure: bool = False
    removes_channels: bool = False
    removes_blocks: bool = False
    takes: tuple[str, ...] = ()
    once: bool = False
    quantizes: bool = False


@dataclass(frozen=True)
class OptimizerKind(Kind):
    """An optimizer. Its implementation is a torch.optim.Optimizer, called with the weights and the config's fields.

    Attributes:
        options: names and values of further arguments, such as `fused`.
        matrices_only: whether AdamW takes all that is not a hidden layer's matrix.
        measures_steps: whether it takes the loss as a function and calls it several times a step.
    """

    group: ClassVar[str] = "optimizer"
    fields: ClassVar[tuple[str, ...]] = ("kind", "lr")
    options: tuple[tuple[str, Any], ...] = ()
    matrices_only: bool = False
    measures_steps: bool = False


@dataclass(frozen=True)
class ScheduleKind(Kind):
    """A schedule. Its implementation is called as (config, share of the steps done) and returns a factor."""

    group: ClassVar[str] = "schedule"


@dataclass(frozen=True)
class AugmentationKind(Kind):
    """An augmentation. Its implementation is called as (batch of encoded samples, config) and returns such a batch.

    Attributes:
        takes: the modalities whose samples it takes; images are uint8 [B, C, H, W].
    """

    group: ClassVar[str] = "augmentation"
    takes: tuple[str, ...] = ("image",)


@dataclass(frozen=True)
class CorruptionKind(Kind):
    """A corruption of raw test samples. Its implementation is called as (inputs, config, numpy Generator).

    It returns as many inputs of the same form, and leaves those that it is given as they are.

    Attributes:
        takes: the modalities whose raw samples it takes, as `thresher.modalities.samples.Inputs` has them.
    """

    group: ClassVar[str] = "corruption"
    takes: tuple[str, ...] = field(kw_only=True)


@dataclass(frozen=True)
class MetricKind(Kind):
    """A metric. Its implementation is called as (answers, labels), numpy arrays, and returns a float.

    Answers are the outputs: probabilities [N, K] with int64 labels [N], or values [N, 1] with float64 labels [N]. What
    stands in the brackets of its name is a third argument. Those without an implementation come out of what is
    measured of every candidate.

    Attributes:
        vectorized: `module:function` of the same arguments; returns a function from how often a resample took each
            sample, float64 [R, N], to the values of the metric, [R]. Where there is none, the implementation is called
            on each resample.
        shares: `module:function` of the same arguments, where the metric is a share of right answers, or the mean of
            such shares; returns which answers are right, bool [N], and to which share each sample belongs, int [N], -1
            to none. Its interval is an exact one then.
        requires: `module:function` of (labels, class names, argument); returns why these labels give no value, or "".
        task: classification or regression; None where it has a meaning in both.
        measures: what it speaks of; latency and energy are measured at each batch size.
        judges: what the answers are; classes are those that are served, int64 [N].
        takes: what stands in brackets behind the name.
        may_be_bare: whether the brackets may be left out.
        is_always_measured: whether it is reported of every candidate, named or not.
        baseline: by which metric a recipe that requires this one holds models against the baseline.
        smaller_is_better: the direction of `selection.minimize` and of what is required of it.
        has_interval: whether a requirement of one without an implementation may ask for a confidence.
        resamples: how many resamples of the test split the interval of one with an implementation rests on; 0 for a
            metric that takes too long for it, which then has no interval.
        worse_word: completes "candidate a is ... candidate b" where a is worse.
        span: the least and the largest value that it can have.
        argument: what stands in the brackets, once it does.
    """

    group: ClassVar[str] = "metric"
    parts: ClassVar[tuple[str, ...]] = (*Kind.parts, "vectorized", "shares", "requires")
    config: str = ""
    implementation: str = ""
    vectorized: str = ""
    shares: str = ""
    requires: str = ""
    task: Literal["classification", "regression"] | None = None
    measures: Literal["quality", "cost", "footprint", "latency", "energy"] = "quality"
    judges: Literal["outputs", "classes"] = "outputs"
    takes: Literal["", "class", "quantile", "count", "costs"] = ""
    may_be_bare: bool = False
    is_always_measured: bool = False
    baseline: str = ""
    smaller_is_better: bool = False
    has_interval: bool = False
    resamples: int = 2_000
    worse_word: str = "worse than"
    span: tuple[float, float] = (-inf, inf)
    argument: str = ""

    @property
    def is_computed(self) -> bool:
        """Whether it has an implementation, so that `evaluation.metrics` may name it."""
        return bool(self.implementation)

    @property
    def allows_confidence(self) -> bool:
        """Whether a requirement may ask for a confidence."""
        return self.resamples > 0 if self.is_computed else self.has_interval

    @property
    def pattern(self) -> str:
        """How its name is written, such as `recall[CLASS]`."""
        return f"{self.name}[{_PATTERNS[self.takes]}]" if self.takes and not self.argument else self.name

    @property
    def of_class(self) -> str:
        """The class that its brackets name, nothing where they name none."""
        if self.takes == "costs":
            return self.argument.rsplit(":", 2)[0]
        return self.argument if self.takes == "class" else ""

    def of(self, argument: str | None) -> MetricKind:
        """Return the metric with ``argument`` in its brackets, None where there are none.

        Raises:
            KindError: it takes none, needs one, or takes another.
        """
        if not argument:
            if self.takes and not self.may_be_bare:
                raise KindError(f"'{self.name}' does not say of what. Fix: {self.pattern}, {_TAKES[self.takes]}.")
            return self
        if not self.takes:
            raise KindError(f"'{self.name}' takes nothing in brackets. Fix: {self.name}.")
        whole = replace(self, name=f"{self.name}[{argument}]", argument=argument)
        if self.takes == "costs":
            is_right = bool(read_costs(argument))
        else:
            is_right = self.takes == "class" or _is_number(self.takes, argument)
        if not is_right:
            raise KindError(f"'{whole.name}' does not name {_TAKES[self.takes]}. Fix: {self.pattern}.")
        return whole

    def loss(self) -> MetricKind | None:
        """Return the metric of how much worse than float a candidate is by this one, NAME_drop or NAME_increase.

        None for what has no implementation, and where nothing is resampled.
        """
        if not (self.is_computed and self.resamples):
            return None
        name = f"{self.name}_{'increase' if self.smaller_is_better else 'drop'}"
        width = self.span[1] - self.span[0]
        return replace(
            self,
            name=name,
            implementation="",
            smaller_is_better=True,
            has_interval=True,
            is_always_measured=False,
            span=(-width, width),
        )


_PATTERNS = {"class": "CLASS", "quantile": "QUANTILE", "count": "COUNT", "costs": "CLASS:MISSED:FALSE_ALARM"}
_TAKES = {
    "class": "a class",
    "quantile": "a number between 0 and 1",
    "count": "a whole number from 1 on",
    "costs": "a class and two costs above 0, such as [spam:5:1]",
}


def read_costs(argument: str) -> tuple[str, float, float] | None:
    """Return class, cost of a missed one and of a false alarm out of `CLASS:MISSED:FALSE_ALARM`; None of others."""
    name, *costs = argument.rsplit(":", 2)
    try:
        missed, false_alarm = map(float, costs)
    except ValueError:
        return None
    return (name, missed, false_alarm) if name and 0 < missed < inf and 0 < false_alarm < inf else None


def _is_number(takes: str, text: str) -> bool:
    if takes == "count":
        return text.isdecimal() and text.isascii() and 1 <= len(text) <= 6 and int(text) > 0
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


@dataclass(frozen=True)
class ReaderKind(Kind):
    """A reader of raw files. Its implementation is the dataset's class, which a catalog entry names by its `type`."""

    group: ClassVar[str] = "reader"
    config: str = ""
    implementation: str = ""


@dataclass(frozen=True)
class ModalityKind(Kind):
    """A kind of data. Its settings are `data.encoding`, and its implementation is the class of its encoder.

    Attributes:
        model_input: `module:Class`, as the next three, of the ModelInput that the encoder makes.
        input_transform: of the nn.Module that makes a body's arguments of it, as the first part of the ONNX graph.
        description: of its Description, what a contract and other splits are compared by.
        service: of its ModalityService, what a service says of its inputs; it may not import torch.
        adapter: `module:function` that leads from the model input to the input of a graph from elsewhere; "" for none.
        graph_options: what a recipe may say of such a graph's input.
        models: kinds of models that can be built for it, besides those whose own records name it.
    """

    group: ClassVar[str] = "modality"
    parts: ClassVar[tuple[str, ...]] = (
        *Kind.parts, "model_input", "input_transform", "description", "service", "adapter"
    )  # fmt: skip
    loaded_by: ClassVar[Mapping[str, str]] = {
        "input_transform": "thresher.models.network",
        "adapter": "thresher.models.imported.adapter",
        "description": "thresher.modalities.description",
        "service": "thresher.modalities.service",
    }
    model_input: str
    input_transform: str
    description: str = "thresher.modalities.description:Description"
    service: str = "thresher.modalities.service:ModalityService"
    adapter: str = ""
    graph_options: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def can_build(self, model: ModelKind) -> bool:
        """Return whether ``model`` can be built for samples of this kind."""
        return self.name in model.takes or model.name in self.models


GROUPS: dict[str, type[Kind]] = {
    each.group: each
    for each in (
        ModelKind,
        TechniqueKind,
        OptimizerKind,
        ScheduleKind,
        AugmentationKind,
        CorruptionKind,
        MetricKind,
        ReaderKind,
        ModalityKind,
    )
}
"""Group -> class of its records; the entry points of a group are called `thresher.<group>s`."""
