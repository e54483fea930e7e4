"""16 bits: which tensors become half, that answers stay, and what no session can be opened on."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from thresher.compression.data import CalibrationData
from thresher.compression.file.float16 import Half, half
from thresher.compression.file.profiling import open_session
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import predict
from thresher.events import Step, subscribe
from thresher.export import export_onnx
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.modalities.series.model_input import SeriesInput
from thresher.models.network import Network, NetworkSpec
from thresher.models.recurrent.config import Lstm


def test_weights_are_half_as_large_and_answers_the_same(
    float_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    file = half(float_onnx, Half(), calibration_data)
    graph, original = onnx.load_from_string(file).graph, onnx.load_from_string(float_onnx).graph
    weights = {tensor.data_type for tensor in graph.initializer if ".weight" in tensor.name}
    assert weights == {TensorProto.FLOAT16}
    assert len(file) < 0.65 * len(float_onnx)
    assert [value.type.tensor_type.elem_type for value in [*graph.input, *graph.output]] == [
        value.type.tensor_type.elem_type for value in [*original.input, *original.output]
    ]
    cost, float_cost = measure_cost(file, grey), measure_cost(float_onnx, grey)
    assert (cost.macs, cost.num_parameters) == (float_cost.macs, float_cost.num_parameters)
    ours, theirs = (predict(open_session(content), digits.test.inputs, grey) for content in (file, float_onnx))
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    onnx.checker.check_model(onnx.load_from_string(file), full_check=True)


@pytest.mark.oddity(
    "Compression and training",
    "numbers beyond 65,504 in 16 bits",
    "What holds them stays in float32, by its name",
)
@pytest.mark.parametrize(("factor", "what"), [(1e6, "holds"), (5e4, "reaches")], ids=["weights", "activations"])
def test_what_16_bits_cannot_hold_stays_in_float32(
    factor: float,
    what: str,
    float_onnx: bytes,
    calibration_data: CalibrationData,
    grey: ImageInput,
    digits,  # type: ignore[no-untyped-def]
) -> None:
    """The same answers by a first layer so many times as large, and a last one so many times as small."""
    model = onnx.load_from_string(float_onnx)
    first, last = (next(node for node in model.graph.node if node.name == name) for name in ("fc1", "fc2"))
    scales = {**dict.fromkeys(first.input[1:], factor), last.input[1]: 1 / factor}
    for tensor in model.graph.initializer:
        scale = scales.get(tensor.name)
        if scale is not None:
            values = onnx.numpy_helper.to_array(tensor) * np.float32(scale)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), tensor.name))
    said: list[str] = []
    leave = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    halved = half(model.SerializeToString(), Half(), calibration_data)
    leave()
    ours, theirs = (predict(open_session(content), digits.test.inputs, grey) for content in (halved, float_onnx))
    np.testing.assert_allclose(ours, theirs, atol=0.01)
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(halved).graph.initializer}
    assert kinds[first.input[1]] == TensorProto.FLOAT
    assert TensorProto.FLOAT16 in kinds.values()  # convolutions are in 16 bits
    assert len(said) == 1
    assert said[0].startswith("half: in float32 stay fc1 (" + what)


def test_pixels_are_scaled_in_float32_without_a_detour(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    graph = onnx.load_from_string(half(float_onnx, Half(), calibration_data)).graph
    operators = [node.op_type for node in graph.node]
    first = operators.index("Conv")
    assert operators[:first] == ["Cast", "Sub", "Mul", "Cast"]
    assert len({node.name for node in graph.node}) == len(graph.node)


def test_a_series_is_standardized_and_an_lstm_computed_in_float32() -> None:
    given = SeriesInput(channels=2, max_length=9, mean=(1000.0, 0.0), std=(1e-3, 1.0))
    network = Network(NetworkSpec(model=Lstm(hidden=4), input=given, output=ClassOutput(num_classes=3))).eval()
    random, file = np.random.default_rng(0), export_onnx(network)
    series = (np.array(given.mean) + random.normal(size=(20, 9, 2)) * given.std).astype(given.dtype)
    samples = Samples(series, np.zeros(20, np.int64), ("a", "b", "c"))
    halved = half(file, Half(), CalibrationData("candidate", given, samples, seed=1))
    answers = [predict(open_session(content), series, given) for content in (halved, file)]
    np.testing.assert_allclose(*answers, atol=1e-3)  # 1000.001 would be 1000 in 16 bits


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="bf16 may run here")
def test_what_no_session_can_be_opened_on_is_told(float_onnx: bytes, calibration_data: CalibrationData) -> None:
    with pytest.raises(CompressionError, match="candidate: half with dtype bf16 makes a model that ONNX Runtime"):
        half(float_onnx, Half(dtype="bf16"), calibration_data)


def test_a_file_without_weights_is_told(calibration_data: CalibrationData) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, 8, 8])
    answers = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 1, 8, 8])
    nodes = [helper.make_node("Cast", ["image"], ["x"], name="cast", to=TensorProto.FLOAT),
             helper.make_node("Softmax", ["x"], ["probabilities"], name="softmax")]  # fmt: skip
    graph = helper.make_graph(nodes, "g", [image], [answers])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    with pytest.raises(CompressionError, match="half finds nothing"):
        half(model.SerializeToString(), Half(), calibration_data)
