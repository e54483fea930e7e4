"""From what Thresher's encoder makes to what a graph from outside takes, as a graph of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from thresher.errors import DataError
from thresher.modalities import modality_of
from thresher.modalities.encoder import Encoder
from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.series.encoder import SeriesEncoder
from thresher.modalities.tabular.columns import CategoricalColumn
from thresher.modalities.tabular.encoder import TabularEncoder
from thresher.models.imported.batch import describe
from thresher.models.imported.config import GraphModel
from thresher.models.imported.inputs import Axes, GraphInputs, axes_of, type_of
from thresher.models.imported.read_onnx import TARGET_OPSET

PREFIX, CORE = "thresher.", "model."
"""The prefixes of every name that is added to a graph, and of the graph's own tensors."""
INTEGERS = {TensorProto.UINT8, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64}
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
Shapes = dict[str, tuple[int | None, ...]]
"""Layout -> what the data gives; None for an axis of any length."""


class Adapter:
    """A graph under construction: one tensor, changed by one operator after the other."""

    def __init__(self, given: Any, config: GraphModel, inputs: GraphInputs, file: str) -> None:
        """Begin with ``given``, which must become the ``inputs`` of the graph in ``file``."""
        self.given, self.config, self.file = given, config, file
        self.inputs, self.value = inputs, inputs.samples
        self.dtype, self.axes = type_of(self.value), axes_of(self.value)
        self.nodes: list[onnx.NodeProto] = []
        self.stored: list[TensorProto] = []
        self.made: list[onnx.ValueInfoProto] = []
        self.last = given.name

    def add(self, operator: str, *operands: str, **attributes: Any) -> str:
        """Let ``operator`` change the tensor, which is its first operand; return the result's name."""
        name = f"{PREFIX}{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.last, *operands], [name], name, **attributes))
        self.last = name
        return name

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Return the name of stored ``values``."""
        name = f"{PREFIX}constant_{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def cast(self, dtype: int) -> None:
        """Make the tensor one of ``dtype``."""
        self.add("Cast", to=dtype)

    def hand(self, value: onnx.ValueInfoProto) -> None:
        """Give the tensor to the graph's input ``value``, in the type that this has."""
        self.cast(type_of(value))
        self.nodes[-1].output[0] = f"{CORE}{value.name}"
        self.made.append(helper.make_tensor_value_info(f"{CORE}{value.name}", type_of(value), None))

    def refuse(self, what: str, fix: str, value: onnx.ValueInfoProto | None = None) -> DataError:
        """Return the error of a graph whose input ``value``, that of the samples by default, cannot take these."""
        return DataError(f"{self.file}: takes {describe(value or self.value)}, and {what}. Fix: {fix}")

    def finish(self) -> ModelProto:
        """Return the graph; its outputs are the inputs of the one that follows, by their names with `CORE` before."""
        self.hand(self.value)
        given = helper.make_tensor_value_info(
            self.given.name, helper.np_dtype_to_tensor_dtype(self.given.dtype), ["batch", *_free(self.given)]
        )
        graph = helper.make_graph(self.nodes, "adapter", [given], self.made, self.stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", TARGET_OPSET)], ir_version=8)


def build_adapter(encoder: Encoder, config: GraphModel, inputs: GraphInputs, file: str) -> ModelProto:
    """Return the graph from what ``encoder`` makes to the ``inputs`` of the graph in ``file``.

    Raises:
        DataError: it takes samples of another kind, shape or type; with what would mend it.
    """
    given = encoder.model_input
    adapter = Adapter(given, config, inputs, file)
    for value in inputs.values:
        able = INTEGERS | FLOATS if value is inputs.samples else INTEGERS | FLOATS | {TensorProto.BOOL}
        if type_of(value) not in able:
            fix = "export the model for one tensor of numbers."
            raise adapter.refuse("Thresher cannot make that from numbers", fix, value)
    modality = modality_of(encoder)
    if not modality.adapter:
        raise adapter.refuse(f"nothing adapts {modality.name} samples to a graph", "train a model for them.")
    modality.load("adapter")(adapter, encoder)
    return adapter.finish()


def adapt_image(adapter: Adapter, encoder: ImageEncoder) -> None:
    """Bring images to the layout, order of channels and scale of the graph."""
    image = encoder.model_input
    channels, height, width = image.longest
    shapes: Shapes = {
        "channels_first": (channels, height, width),
        "channels_last": (height, width, channels),
    }
    axes = adapter.axes
    flat = axes is not None and len(axes) == 1
    size = f"the data gives images of {channels}x{height}x{width}" + f": {channels * height * width} numbers" * flat
    fix = "give the images the model's size in the catalog, or train one for these."
    if axes is not None and len(axes) == 2 and channels == 1:
        shapes = dict.fromkeys(shapes, (height, width))
    if flat:
        shapes = dict.fromkeys(shapes, (channels * height * width,))
    layout = _choose_layout(adapter, shapes, size, fix)
    if adapter.config.channel_order == "bgr":
        if channels != 3:
            raise adapter.refuse(f"{size}; channel_order: bgr is for 3 channels", "leave channel_order out.")
        adapter.add("Gather", adapter.constant([2, 1, 0], np.int64), axis=1)
    if adapter.dtype in INTEGERS:
        _refuse_scaling(adapter)
    else:
        adapter.cast(TensorProto.FLOAT)
        _scale(adapter, image.channels, 1 / 255, (1, -1, 1, 1))
    if layout == "channels_last":
        adapter.add("Transpose", perm=[0, 2, 3, 1])
    if flat:
        adapter.add("Reshape", adapter.constant([-1, channels * height * width], np.int64))
    elif axes is not None and len(axes) == 2:
        adapter.add("Reshape", adapter.constant([-1, height, width], np.int64))


def adapt_series(adapter: Adapter, encoder: SeriesEncoder) -> None:
    """Bring series to the layout and scale of the graph, 0 where they are padded."""
    series = encoder.model_input
    steps, channels = None, series.channels
    shapes: dict[str, tuple[int | None, ...]] = {
        "channels_first": (channels, steps),
        "channels_last": (steps, channels),
    }
    axes = adapter.axes
    if axes is not None and len(axes) == 1 and channels == 1:
        shapes = dict.fromkeys(shapes, (steps,))
    what, fix = f"the data gives series [N, T, {channels}]", "train a model for these series."
    layout = _choose_layout(adapter, shapes, what, fix)
    _scale(adapter, channels, 1.0, (1, 1, -1), np.float64)
    scaled = adapter.last
    adapter.last = adapter.given.name
    missing = adapter.add("IsNaN")
    adapter.last = missing
    adapter.add("Where", adapter.constant([0.0], np.float64), scaled)
    length = None if axes is None else axes[0] if layout == "channels_last" or len(axes) == 1 else axes[1]
    pad(adapter, length, series.max_length, 2)
    if axes is not None and len(axes) == 1:
        adapter.add("Squeeze", adapter.constant([2], np.int64))
    elif layout == "channels_first":
        adapter.add("Transpose", perm=[0, 2, 1])


def adapt_tabular(adapter: Adapter, encoder: TabularEncoder) -> None:
    """Give the graph rows as they were before they were standardized, or as they are."""
    numeric = [column for column in encoder.columns if not isinstance(column, CategoricalColumn)]
    flagged = [index for index, column in enumerate(numeric) if column.has_missing]
    categories = [column.name for column in encoder.columns if isinstance(column, CategoricalColumn)]
    raw = adapter.config.rows == "raw"
    if raw and categories:
        fix = "leave the columns out, or train the model on rows of Thresher's encoder and write rows: encoded."
        raise adapter.refuse(f"these columns hold text: {', '.join(categories)}", fix)
    width = len(numeric) if raw else encoder.model_input.longest[0]
    if adapter.axes not in (None, [None], [width]):
        names = ", ".join(column.name for column in (numeric if raw else encoder.columns))
        raise adapter.refuse(
            f"a row of the data has {width} numbers: {names}", "drop columns, or train a model for these."
        )
    if not raw:
        return
    adapter.add("Slice", *(adapter.constant([at], np.int64) for at in (0, len(numeric), 1)))
    # In float64: beside a large mean, float32 would lose what rows differ in.
    adapter.cast(TensorProto.DOUBLE)
    adapter.add("Mul", adapter.constant([column.std for column in numeric], np.float64))
    value = adapter.add("Add", adapter.constant([column.mean for column in numeric], np.float64))
    if flagged:
        # A flag a column: that of the row where it has one, else none.
        places = np.full(len(numeric), -1)
        places[flagged] = len(numeric) + np.arange(len(flagged))
        mask = np.zeros((encoder.model_input.longest[0], len(numeric)), np.float32)
        mask[places[flagged], flagged] = 1
        adapter.last = adapter.given.name
        adapter.add("MatMul", adapter.constant(mask))
        adapter.cast(TensorProto.BOOL)
        adapter.add("Where", adapter.constant([np.nan], np.float64), value)


def _choose_layout(adapter: Adapter, shapes: Shapes, what: str, fix: str) -> str:
    asked, fitting = adapter.config.layout, _best(adapter.axes, shapes)
    if not fitting:
        raise adapter.refuse(what, fix)
    if asked != "auto" and not _fits(adapter.axes, shapes[asked]):
        raise adapter.refuse(f"{what}; layout: {asked} does not fit", f"layout: {fitting[0]}.")
    if asked == "auto" and len(fitting) > 1 and not _alike(adapter):
        raise adapter.refuse(f"{what}; both layouts fit", "write layout: channels_first or channels_last.")
    return fitting[0] if asked == "auto" else asked


def _best(axes: Axes | None, shapes: Shapes) -> list[str]:
    """Return the layouts that fit, by as many known lengths as possible: [?, ?, 3] is rather T, 3 than C, T."""
    agree = {
        name: sum(axis == size for axis, size in zip(axes or (), shape, strict=False) if size is not None)
        for name, shape in shapes.items()
        if _fits(axes, shape)
    }
    return [name for name, count in agree.items() if count == max(agree.values())]


def _alike(adapter: Adapter) -> bool:
    """Return whether both layouts hold the same numbers in the same order."""
    one_channel = adapter.given.channels == 1
    return one_channel and adapter.axes is not None and len(adapter.axes) < len(adapter.given.longest)


def _fits(axes: Axes | None, shape: tuple[int | None, ...]) -> bool:
    if axes is None:
        return True
    pairs = zip(axes, shape, strict=False)
    return len(axes) == len(shape) and all(None in (axis, size) or axis == size for axis, size in pairs)


def _refuse_scaling(adapter: Adapter) -> None:
    config = adapter.config
    if config.scale is not None or config.mean != (0.0,) or config.std != (1.0,):
        raise adapter.refuse("scale, mean or std are given", "leave them out: it takes pixels as they are.")


def _scale(adapter: Adapter, channels: int, default: float, shape: tuple[int, ...], dtype: Any = np.float32) -> None:
    """(x * scale - mean) / std, as (x - mean / scale) * (scale / std)."""
    config = adapter.config
    for name, values in (("mean", config.mean), ("std", config.std)):
        if len(values) not in (1, channels):
            raise DataError(f"model.{name}: {len(values)} values for {channels} channels. Fix: give 1 or {channels}.")
    scale, mean, std = config.scale or default, np.array(config.mean), np.array(config.std)
    if mean.any():
        adapter.add("Sub", adapter.constant((mean / scale).reshape(shape), dtype))
    if not np.all(scale / std == 1):
        adapter.add("Mul", adapter.constant((scale / std).reshape(shape), dtype))


def pad(adapter: Adapter, length: int | None, longest: int, axes_after: int, filler: str = "") -> None:
    """Make the axis of the steps ``length`` long; None leaves it as it is.

    Args:
        filler: the constant at its end; zeros where there is none.
    """
    if length is None:
        return
    if length < longest:
        raise adapter.refuse(f"samples are up to {longest} long", f"data.encoding.max_length: {length}.")
    tensor = adapter.last
    adapter.add("Shape")
    steps = adapter.add("Slice", *(adapter.constant([at], np.int64) for at in (1, 2, 0)))
    name = adapter.constant([length], np.int64)
    adapter.nodes.append(helper.make_node("Sub", [name, steps], [f"{PREFIX}missing"], f"{PREFIX}missing"))
    adapter.last = adapter.constant([0, 0, 0, 0] if axes_after == 2 else [0, 0, 0], np.int64)
    tail = [adapter.constant([0], np.int64)] if axes_after == 2 else []
    pads = adapter.add("Concat", f"{PREFIX}missing", *tail, axis=0)
    adapter.last = tensor
    adapter.add("Pad", pads, *filter(None, [filler]))


def _free(given: Any) -> list[str | int]:
    return ["length" if size is None else size for size in given.shape]
