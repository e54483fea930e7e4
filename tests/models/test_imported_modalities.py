"""Graphs from elsewhere over rows, series and texts, and programs of torch.export."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.any_modality import CLASS_NAMES, NUM_SAMPLES, make_encoder, make_samples
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import nn

from thresher import modalities
from thresher.errors import DataError
from thresher.modalities.encoder import Encoder
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.tabular.encoder import TabularEncoding
from thresher.modalities.tabular.table import Table
from thresher.models.imported.config import ExportedModel, GraphModel, ModelFile, OnnxModel
from thresher.models.imported.graph import import_graph
from thresher.readers import BundledTable

RANDOM = np.random.default_rng(7)


def write(
    nodes: list[Any], stored: dict[str, np.ndarray], shape: list[Any], dtype: int = TensorProto.FLOAT
) -> ModelProto:
    """Return the graph from `x` of ``shape`` to `y`."""
    given = helper.make_tensor_value_info("x", dtype, shape)
    answers = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "g", [given], [answers], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def answers(model: ModelProto, encoder: Encoder, samples: EncodedSamples, config: GraphModel) -> np.ndarray:
    """Return what the imported ``model`` says to all of ``samples``."""
    file = ModelFile("m.onnx", model.SerializeToString())
    content, _ = import_graph(file, config, encoder, (samples, samples))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {encoder.model_input.name: samples.inputs})[0])


def test_rows_reach_a_graph_as_the_table_s_own_numbers() -> None:
    raw = BundledTable(name="diabetes", split="test").load()
    encoder = modalities.fit_encoder(raw, TabularEncoding())
    samples = modalities.encode(encoder, raw)
    assert isinstance(raw.inputs, Table)
    table = np.stack(list(raw.inputs.columns.values()), axis=1)
    weights = RANDOM.normal(size=(table.shape[1], 1)).astype(np.float32)
    model = write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weights}, [1, table.shape[1]])
    given = answers(model, encoder, samples, OnnxModel(path="m.onnx"))
    np.testing.assert_allclose(given, table @ weights, atol=1e-4)
    # As Thresher's encoder makes them, they are standardized.
    encoded = answers(model, encoder, samples, OnnxModel(path="m.onnx", rows="encoded"))
    np.testing.assert_allclose(encoded, samples.inputs @ weights, atol=1e-4)


def test_a_missing_number_is_nan_again() -> None:
    samples = make_samples("tabular", "regression")
    assert isinstance(samples.inputs, Table)
    numbers = {name: samples.inputs.columns[name] for name in ("hours", "age")}
    raw: Samples = Samples(Table(numbers), samples.labels)
    encoder = modalities.fit_encoder(raw, TabularEncoding())
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "minus", "x"], ["filled"]),
        helper.make_node("ReduceSum", ["filled", "axes"], ["y"]),
    ]
    stored = {"minus": np.array([-1000], np.float32), "axes": np.array([1], np.int64)}
    given = answers(write(nodes, stored, ["n", 2]), encoder, modalities.encode(encoder, raw), OnnxModel(path="m.onnx"))
    expected = numbers["hours"] + np.where(np.isnan(numbers["age"]), -1000, numbers["age"])
    assert np.isnan(numbers["age"]).any()
    np.testing.assert_allclose(given[:, 0], expected, rtol=1e-5)


def test_columns_of_text_have_no_raw_numbers() -> None:
    encoder = make_encoder("tabular", "regression")
    samples = modalities.encode(encoder, make_samples("tabular", "regression"))
    model = write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.ones((3, 1), np.float32)}, ["n", 3])
    with pytest.raises(DataError, match=r"hold text: job\. Fix: .*rows: encoded"):
        answers(model, encoder, samples, OnnxModel(path="m.onnx"))


@pytest.mark.parametrize("shape", [["n", 25, 2], ["n", "t", 2], [1, 2, 25]])
def test_series_are_scaled_padded_and_turned_as_the_graph_wants(shape: list[Any]) -> None:
    encoder, raw = make_encoder("series", max_length=25), make_samples("series")
    samples = modalities.encode(encoder, raw)
    axis = shape.index(2, 1)
    steps = 3 - axis
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["sums"], keepdims=0),
        helper.make_node("Gemm", ["sums", "w"], ["y"]),
    ]
    weights = RANDOM.normal(size=(2, 3)).astype(np.float32)
    model = write(nodes, {"axes": np.array([steps], np.int64), "w": weights}, shape)
    config = OnnxModel(path="m.onnx", mean=(1.0, 2.0), std=(2.0, 4.0), output="logits")
    given = answers(model, encoder, samples, config)
    scaled = np.stack([((one - [1, 2]) / [2, 4]).sum(axis=0) for one in raw.inputs])
    logits = scaled @ weights
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_a_graph_too_short_for_the_series_is_refused() -> None:
    encoder = make_encoder("series")
    samples = modalities.encode(encoder, make_samples("series"))
    model = write([helper.make_node("Flatten", ["x"], ["y"])], {}, [1, 5, 2])
    with pytest.raises(
        DataError,
        match=r"takes x float32 \[1, 5, 2\], and samples are up to \d+ long\. Fix: data\.encoding\.max_length: 5",
    ):
        answers(model, encoder, samples, OnnxModel(path="m.onnx"))


@pytest.mark.parametrize(("dtype", "shape"), [(TensorProto.INT32, [1, 300]), (TensorProto.INT64, ["n", "t"])])
def test_tokens_become_the_graph_s_type_and_length(dtype: int, shape: list[Any]) -> None:
    encoder, raw = make_encoder("text"), make_samples("text")
    samples = modalities.encode(encoder, raw)
    table = RANDOM.normal(size=(50, 3)).astype(np.float32)
    table[0] = 0
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["vectors"]),
        helper.make_node("ReduceSum", ["vectors", "axes"], ["y"], keepdims=0),
    ]
    model = write(nodes, {"table": table, "axes": np.array([1], np.int64)}, shape, dtype)
    given = answers(model, encoder, samples, OnnxModel(path="m.onnx"))
    logits = table[samples.inputs].sum(axis=1)
    np.testing.assert_allclose(given, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), atol=1e-4)
    assert given.shape == (NUM_SAMPLES, len(CLASS_NAMES))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.convolution, self.norm, self.dense = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4 * 6 * 4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.dense(torch.relu(self.norm(self.convolution(image))).flatten(1))
        return out


@pytest.mark.parametrize("free", [True, False])
def test_a_program_of_torch_export_answers_as_in_torch(free: bool) -> None:
    encoder, raw = make_encoder("image"), make_samples("image")
    samples, network = modalities.encode(encoder, raw), Small().eval()
    images = torch.from_numpy(samples.inputs).float() / 255
    shapes = ({0: torch.export.Dim("batch")},) if free else None
    program = torch.export.export(network, (images[: 2 if free else 1],), dynamic_shapes=shapes)
    written = io.BytesIO()
    torch.export.save(program, written)
    file = ModelFile("m.pt2", written.getvalue())
    content, found = import_graph(file, ExportedModel(path="m.pt2", trust=True), encoder, (samples, samples))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = torch.softmax(network(images), dim=1).numpy()
    np.testing.assert_allclose(session.run(None, {"image": samples.inputs})[0], expected, atol=1e-5)
    assert "logits" in found.answers


def test_what_is_no_program_is_refused() -> None:
    encoder = make_encoder("image")
    samples = modalities.encode(encoder, make_samples("image"))
    written = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, written)
    for content in (b"nothing", written.getvalue()):
        with pytest.raises(DataError, match=r"^m\.pt2: not a program that torch .* Fix: write it by torch.export.save"):
            import_graph(ModelFile("m.pt2", content), ExportedModel(path="m.pt2", trust=True), encoder, (samples,) * 2)
