"""Quantized files run in ONNX Runtime, are smaller, and nearly always give the float model's class."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from thresher.compression import reduce_range as ranges
from thresher.compression.apply import apply_steps
from thresher.compression.calibration import choose_calibration_inputs
from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.file.quantize_static import QuantizeStatic, quantize_static
from thresher.compression.reduce_range import needs_reduced_range
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import open_session, predict
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.samples import Samples
from thresher.modalities.text.model_input import TextInput


def read_tensors(onnx_file: bytes) -> dict[str, np.ndarray]:
    graph = onnx.load_from_string(onnx_file).graph
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}


def products(onnx_file: bytes) -> list[str]:
    nodes = onnx.load_from_string(onnx_file).graph.node
    return [node.op_type for node in nodes if node.op_type in ("Conv", "Gemm", "MatMul", "MatMulInteger")]


@pytest.fixture(params=["static_onnx", "dynamic_onnx"])
def quantized(request: pytest.FixtureRequest) -> bytes:
    content: bytes = request.getfixturevalue(request.param)
    return content


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Pretend to be another processor."""

    def processor(machine: str, *flags: str) -> None:
        monkeypatch.setattr(ranges.platform, "machine", lambda: machine)
        monkeypatch.setattr(ranges, "processor_flags", lambda: set(flags))

    return processor


def test_a_quantized_file_agrees_with_float_on_real_digits(
    quantized: bytes, float_onnx: bytes, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    ours, theirs = (predict(open_session(file, 1), digits.test.inputs, grey) for file in (quantized, float_onnx))
    assert (theirs.argmax(1) == digits.test.labels).mean() > 0.95
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.98
    np.testing.assert_allclose(ours.sum(1), 1, atol=1e-5)


def test_a_quantized_file_is_smaller_and_counts_the_same_sums(
    quantized: bytes, float_onnx: bytes, grey: ImageInput
) -> None:
    cost, float_cost = measure_cost(quantized, grey), measure_cost(float_onnx, grey)
    assert cost.size_bytes < 0.8 * float_cost.size_bytes
    assert (cost.macs, cost.num_parameters) == (float_cost.macs, float_cost.num_parameters)


def test_a_quantized_file_takes_any_batch(quantized: bytes, grey: ImageInput) -> None:
    for size in (1, 5):
        assert predict(open_session(quantized, 1), np.zeros((size, 1, 8, 8), np.uint8), grey).shape == (size, 10)


def test_static_weights_are_signed_with_one_scale_a_channel(static_onnx: bytes) -> None:
    tensors = read_tensors(static_onnx)
    weights = {name: tensor for name, tensor in tensors.items() if name.endswith("weight_quantized")}
    assert {name.split(".")[-2]: tensor.shape[0] for name, tensor in weights.items()} == {
        "conv2": 32, "fc1": 32, "fc2": 10
    }  # fmt: skip
    for name, tensor in weights.items():
        assert tensor.dtype == np.int8
        assert tensors[name.replace("quantized", "scale")].shape == (tensor.shape[0],)
        assert not tensors[name.replace("quantized", "zero_point")].any()


def test_static_activations_are_unsigned_and_biases_are_int32(static_onnx: bytes) -> None:
    graph, tensors = onnx.load_from_string(static_onnx).graph, read_tensors(static_onnx)
    quantizing = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert quantizing
    assert {tensors[node.input[2]].dtype for node in quantizing} == {np.dtype(np.uint8)}
    biases = [tensor for name, tensor in tensors.items() if name.endswith("bias_quantized")]
    assert {tensor.dtype for tensor in biases} == {np.dtype(np.int32)}


def test_the_first_convolution_is_float_and_every_other_product_reads_dequantized_numbers(static_onnx: bytes) -> None:
    graph = onnx.load_from_string(static_onnx).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    first, *others = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert made_by[first.input[1]] == "Reshape"  # of weights that are stored as int8
    assert len(others) == 3
    assert {made_by[name] for node in others for name in node.input[:2]} == {"DequantizeLinear"}


def test_dynamic_quantization_leaves_convolutions_in_float(dynamic_onnx: bytes) -> None:
    assert products(dynamic_onnx) == ["Conv", "Conv", "MatMulInteger", "MatMulInteger"]
    tensors = read_tensors(dynamic_onnx)
    assert tensors["network.body.fc1.weight_scale"].shape == (32,)
    assert tensors["network.body.fc1.weight_quantized"].dtype == np.int8


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
@pytest.mark.parametrize("samples", [1, 97, 100])
def test_every_calibration_takes_any_number_of_samples_and_prints_nothing(
    calibration: str, samples: int, float_onnx: bytes, calibration_data: CalibrationData,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    config = QuantizeStatic(calibration=calibration, calibration_samples=samples)
    assert len(quantize_static(float_onnx, config, calibration_data)) < len(float_onnx)
    assert capfd.readouterr().out == ""


def test_calibration_reads_so_many_different_training_samples_and_no_others(calibration_data: CalibrationData) -> None:
    training = calibration_data.training_samples
    numbered = np.arange(len(training), dtype=np.int64).reshape(-1, 1, 1, 1)
    data = dataclasses.replace(calibration_data, training_samples=dataclasses.replace(training, inputs=numbered))
    chosen = choose_calibration_inputs(100, data).ravel()
    assert len(set(chosen.tolist())) == 100
    assert set(chosen.tolist()) <= set(range(len(training)))
    everything = choose_calibration_inputs(1_000_000, data).ravel()
    assert everything.tolist() == list(range(len(training)))


def test_the_seed_of_the_training_chooses_the_calibration_samples(calibration_data: CalibrationData) -> None:
    def choose(seed: int) -> bytes:
        data = dataclasses.replace(calibration_data, seed=seed)
        return choose_calibration_inputs(50, data).tobytes()

    assert choose(1) == choose(1) != choose(2)


@pytest.mark.parametrize(
    ("machine", "flags", "reduced"),
    [
        ("x86_64", ("avx2",), True),
        ("AMD64", (), True),
        ("x86_64", ("avx2", "avx512_vnni"), False),
        ("x86_64", ("avx_vnni",), False),
        ("aarch64", (), False),
        ("arm64", (), False),
    ],
)
def test_x86_without_vnni_needs_seven_bits(machine: str, flags: tuple[str, ...], reduced: bool, processor) -> None:  # type: ignore[no-untyped-def]
    processor(machine, *flags)
    assert needs_reduced_range() is reduced


@pytest.mark.parametrize(("flag", "largest"), [("avx2", 64), ("avx512_vnni", 127)])
def test_weights_keep_to_the_range_that_is_safe_on_the_processor(
    flag: str, largest: int, processor, float_onnx: bytes, calibration_data: CalibrationData  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    processor("x86_64", flag)
    for quantized in (
        quantize_static(float_onnx, QuantizeStatic(), calibration_data),
        quantize_dynamic(float_onnx, QuantizeDynamic(), calibration_data),
    ):
        tensors = read_tensors(quantized)
        weights = [tensor for name, tensor in tensors.items() if name.endswith("weight_quantized")]
        assert max(int(np.abs(weight.astype(int)).max()) for weight in weights) == largest


@pytest.mark.parametrize("technique", [QuantizeDynamic(), QuantizeStatic()], ids=lambda technique: technique.kind)
def test_a_file_with_nothing_to_quantize_is_told(
    technique: QuantizeDynamic | QuantizeStatic, calibration_data: CalibrationData
) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, 8, 8])
    answers = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 1, 8, 8])
    nodes = [helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
             helper.make_node("Softmax", ["x"], ["probabilities"])]  # fmt: skip
    graph = helper.make_graph(nodes, "g", [image], [answers])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    with pytest.raises(CompressionError, match=f"candidate: {technique.kind} finds nothing that it can quantize"):
        apply_steps((technique,), file, calibration_data)


def test_calibration_inputs_are_as_long_as_the_longest_of_them(calibration_data: CalibrationData) -> None:
    tokens = np.zeros((40, 30), np.int64)
    tokens[:, :7] = 1
    samples = Samples(tokens, np.zeros(40, np.int64), ("a",))
    text = TextInput(vocabulary_size=5, max_length=30)
    data = dataclasses.replace(calibration_data, input=text, training_samples=samples)
    assert choose_calibration_inputs(10, data).shape == (10, 7)
