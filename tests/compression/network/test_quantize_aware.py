"""Quantization-aware training: small integer files that answer as torch does and are as accurate as float."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from thresher.compression.calibration import choose_calibration_inputs, read_trace, trace_of
from thresher.compression.candidate import Candidate
from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.optimize_graph import OptimizeGraph, optimize_graph
from thresher.compression.network.finetune import Distill
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.compression.network.quantize_aware import QuantizeAware, quantize_aware
from thresher.compression.validate import find_chain_problems
from thresher.errors import CompressionError, ParityError
from thresher.evaluation.cost import measure_cost
from thresher.evaluation.runtime import open_session, predict
from thresher.events import Event, Step
from thresher.export import check_parity, export_onnx
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.samples import Samples
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text.model_input import TextInput
from thresher.models import Model
from thresher.models.fake_quantization import activation_ranges, rounding_of
from thresher.models.lenet import LeNet
from thresher.models.mlp import Mlp
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import load_network, save_network
from thresher.models.textcnn.config import TextCnn
from thresher.onnx_graph import optimize_with_onnxruntime
from thresher.training import Training
from thresher.training.optimizers import Adam, Muon

sys.path.append(str(Path(__file__).parents[2] / "models"))
from any_family import FAMILIES  # lies beside the models' own tests
from learnable import draw_learnable

ONE_EPOCH = QuantizeAware(epochs=1, lr=0.001)


def build(model: Model, given, output=None) -> Network:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    spec = NetworkSpec(model=model, input=given, output=output or ClassOutput(num_classes=4))
    return Network(spec).eval()


def data_of(given, samples=None) -> CompressionData:  # type: ignore[no-untyped-def]
    samples = draw_learnable(given, 64, seed=1) if samples is None else samples
    training = Training(optimizer=Adam(lr=0.001), epochs=1, batch_size=32)
    return CompressionData("candidate", given, samples, samples, training)


def operators(onnx_file: bytes) -> Counter[str]:
    """Return what ONNX Runtime runs."""
    fused = onnx.load_from_string(optimize_with_onnxruntime(onnx_file, "extended"))
    return Counter(node.op_type for node in fused.graph.node)


def run_unfused(onnx_file: bytes, given: str, inputs: np.ndarray) -> np.ndarray:
    """Return the answers of every operator as the file has it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
    answers: np.ndarray = session.run(None, {given: inputs})[0]
    return answers


@pytest.fixture(scope="module")
def aware(trained: Network, compression_data: CompressionData) -> Network:
    return quantize_aware(trained, ONE_EPOCH, compression_data)


@pytest.fixture(scope="module")
def aware_onnx(aware: Network) -> bytes:
    return export_onnx(aware)


def test_the_file_says_which_samples_its_ranges_started_from(
    aware: Network, aware_onnx: bytes, compression_data: CompressionData, tmp_path: Path
) -> None:
    seed = compression_data.training.seed
    data = CalibrationData("other", compression_data.input, compression_data.training_samples, seed)
    trace = trace_of(choose_calibration_inputs(ONE_EPOCH.calibration_samples, data), data)
    assert (trace["samples"], trace["seed"], len(trace["sha256"])) == ("512", str(seed), 64)
    assert read_trace(aware_onnx) == trace
    save_network(aware, tmp_path)  # a candidate that starts from it reads it again
    optimized = optimize_graph(export_onnx(load_network(tmp_path)), OptimizeGraph(level="extended"), data)
    assert read_trace(optimized) == trace


def test_it_is_as_accurate_as_static_quantization_and_nearly_as_float(
    aware_onnx: bytes, static_onnx: bytes, float_onnx: bytes, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    test = digits.test
    answers = [predict(open_session(file, 1), test.inputs, grey) for file in (aware_onnx, static_onnx, float_onnx)]
    accurate, static, plain = ((answer.argmax(1) == test.labels).mean() for answer in answers)
    assert plain > 0.95
    assert accurate >= static - 0.005
    assert accurate >= plain - 0.005


def test_the_file_answers_as_the_network_does_that_was_trained(
    aware: Network, aware_onnx: bytes, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    inputs = digits.test.inputs
    check_parity(aware, aware_onnx, inputs)
    with torch.no_grad():
        expected = aware.predict(torch.from_numpy(inputs)).numpy()
    for got in (run_unfused(aware_onnx, grey.name, inputs), predict(open_session(aware_onnx, 1), inputs, grey)):
        # A sample in which one activation is rounded to the other side differs by more.
        assert (np.abs(got - expected).max(axis=1) < 1e-4).mean() > 0.95
        assert (got.argmax(1) == expected.argmax(1)).mean() > 0.995


def test_wrong_weights_are_told_from_rounding(aware: Network, aware_onnx: bytes, digits) -> None:  # type: ignore[no-untyped-def]
    model = onnx.load_from_string(aware_onnx)
    (scale,) = (tensor for tensor in model.graph.initializer if tensor.name == "fc1.weight.scale")
    scale.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(scale) * np.float32(0.95), scale.name))
    with pytest.raises(ParityError, match=r"at most 1e-01, and 1\.\de-04 in the mean, is allowed"):
        check_parity(aware, model.SerializeToString(), digits.test.inputs)


def test_weights_are_stored_as_int8_and_biases_as_int32(aware: Network, aware_onnx: bytes) -> None:
    tensors = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load_from_string(aware_onnx).graph.initializer
    }
    for name in ("conv1", "conv2", "fc1", "fc2"):
        rounding, weight = rounding_of(aware.body.get_submodule(name))
        assert tensors[f"{name}.weight.codes"].dtype == np.int8
        np.testing.assert_array_equal(tensors[f"{name}.weight.codes"], rounding.codes_of(weight).numpy())
    assert not [name for name, tensor in tensors.items() if tensor.dtype == np.float32 and tensor.size > 64]
    # The first convolution, with its one channel, is computed in float.
    assert sorted(len(tensor) for tensor in tensors.values() if tensor.dtype == np.int32) == [
        10,
        32,
        32,
    ]


def test_a_file_of_83_000_weights_becomes_more_than_three_and_a_half_times_smaller(tmp_path: Path) -> None:
    given = TabularInput(num_numeric=64, cardinalities=())
    samples = Samples(
        np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32), np.arange(64) % 4, tuple("abcd")
    )
    plain = build(Mlp(hidden=(256, 256)), given)
    rounded = quantize_aware(plain, ONE_EPOCH, data_of(given, samples))
    files = [export_onnx(network) for network in (plain, rounded)]
    assert len(files[0]) / len(files[1]) > 3.6
    costs = [measure_cost(file, given) for file in files]
    assert (costs[0].macs, costs[0].num_parameters) == (costs[1].macs, costs[1].num_parameters)
    assert costs[0].num_parameters == 64 * 256 + 256 * 256 + 256 * 4
    save_network(rounded, tmp_path / "network")
    assert export_onnx(load_network(tmp_path / "network")) == files[1]


INTEGER = {
    "mlp row": {"QGemm": 3},
    "lenet": {"QLinearConv": 1, "Conv": 1, "QGemm": 3},
    "cnn": {"Conv": 1, "FusedConv": 1, "QGemm": 2},
    "resnet": {"QLinearConv": 8, "Conv": 1, "QLinearAdd": 3, "QGemm": 1},
    "textcnn": {"QLinearConv": 3, "QGemm": 1},
    "gru text": {"GRU": 1, "QGemm": 1},
    "transformer": {"MatMulIntegerToFloat": 8, "QGemm": 1},
    "gru series": {"GRU": 2, "QGemm": 1},
    "cnn1d": {"FusedConv": 1, "QLinearConv": 1, "QGemm": 1},
}
"""Family -> how many of its operators ONNX Runtime computes on integers, and which remain in float.

Attention of a transformer multiplies activations by activations; that stays in float.
"""
PRODUCTS = {
    "Conv", "FusedConv", "QLinearConv", "QLinearAdd", "Gemm", "QGemm", "MatMulIntegerToFloat", "MatMulNBits", "LSTM",
    "GRU",
}  # fmt: skip


def families() -> list:  # type: ignore[type-arg]
    slow = ("transformer", "resnet", "textcnn")
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in INTEGER]


@pytest.mark.parametrize("name", families())
def test_every_family_is_computed_on_integers_and_answers_alike(name: str) -> None:
    model, given = FAMILIES[name]
    plain = build(model, given)
    rounded = quantize_aware(plain, ONE_EPOCH, data_of(given))
    onnx_file, samples = export_onnx(rounded), draw_learnable(given, 100, seed=2)
    check_parity(rounded, onnx_file, samples.inputs)
    found = operators(onnx_file)
    assert {operator: count for operator, count in found.items() if operator in PRODUCTS} == INTEGER[name]
    weights = sum(weight.numel() for weight in plain.body.parameters() if weight.ndim > 1)
    assert measure_cost(onnx_file, given).num_parameters == weights


def test_every_convolution_is_integer_where_it_is_asked_for() -> None:
    _, given = FAMILIES["lenet"]
    config = ONE_EPOCH.model_copy(update={"float_convolutions": "none"})
    rounded = quantize_aware(build(LeNet(), given), config, data_of(given))
    found = operators(export_onnx(rounded))
    assert (found["QLinearConv"], found["Conv"]) == (2, 0)


def test_embeddings_are_looked_up_as_integers() -> None:
    given = TextInput(vocabulary_size=5000, max_length=20)
    plain = build(TextCnn(dimension=16, num_filters=4), given)
    files = [export_onnx(network) for network in (plain, quantize_aware(plain, ONE_EPOCH, data_of(given)))]
    assert len(files[1]) < 0.3 * len(files[0])
    graph = onnx.load_from_string(files[1]).graph
    stored = {tensor.name: tensor.data_type for tensor in graph.initializer}
    (lookup,) = (node for node in graph.node if node.op_type == "Gather" and node.name == "embedding")
    assert stored[lookup.input[0]] == onnx.TensorProto.INT8


def test_a_pruned_network_is_distilled_and_quantized_in_one_chain(
    trained: Network, compression_data: CompressionData, float_onnx: bytes, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    data = dataclasses.replace(compression_data, teachers={"float": trained})
    network = prune_channels(trained, PruneChannels(ratio=0.3), data)
    rounded = quantize_aware(network, QuantizeAware(epochs=3, distill=Distill()), data)
    onnx_file = export_onnx(rounded)
    check_parity(rounded, onnx_file, digits.validation.inputs)
    cost, plain = measure_cost(onnx_file, grey), measure_cost(float_onnx, grey)
    assert cost.macs < 0.7 * plain.macs
    assert cost.size_bytes < 0.45 * plain.size_bytes
    right = predict(open_session(onnx_file, 1), digits.test.inputs, grey).argmax(1) == digits.test.labels
    assert right.mean() > 0.93


def test_pruned_weights_stay_zero(trained: Network, compression_data: CompressionData) -> None:
    sparse = prune_weights(trained, PruneWeights(sparsity=0.6), compression_data)
    rounded = quantize_aware(sparse, ONE_EPOCH, compression_data)
    for name in ("conv1", "conv2", "fc1", "fc2"):
        before, (_, after) = sparse.body.get_submodule(name).weight, rounding_of(rounded.body.get_submodule(name))
        assert bool((after[before == 0] == 0).all()), name


def test_values_of_a_regression_stay_near_those_of_float() -> None:
    given = TabularInput(num_numeric=8, cardinalities=())
    inputs = np.random.default_rng(0).normal(size=(512, 8)).astype(np.float32)
    labels = 300 + 50 * (inputs @ np.linspace(-1, 1, 8)).astype(np.float64)
    samples = Samples(inputs, labels)
    plain = build(Mlp(hidden=(32,)), given, ValueOutput(mean=float(labels.mean()), std=float(labels.std())))
    data = data_of(given, samples)
    rounded = quantize_aware(plain, QuantizeAware(epochs=20, lr=0.01), data)
    onnx_file = export_onnx(rounded)
    check_parity(rounded, onnx_file, inputs)
    values = predict(open_session(onnx_file, 1), inputs, given)
    assert np.square(values[:, 0] - labels).mean() < 0.01 * labels.var()


def test_what_was_given_is_left_as_it_is(trained: Network, compression_data: CompressionData) -> None:
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    quantize_aware(trained, ONE_EPOCH, compression_data)
    assert trained.spec.quantization is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


def test_ranges_start_from_calibration_move_and_are_frozen(trained: Network, compression_data: CompressionData) -> None:
    def highs(frozen: float) -> list[float]:
        config = ONE_EPOCH.model_copy(update={"frozen": frozen, "calibration_samples": 128})
        return [float(seen.high) for seen in activation_ranges(quantize_aware(trained, config, compression_data))]

    inputs = torch.from_numpy(compression_data.training_samples.inputs)
    with torch.no_grad():
        hidden = trained.body[:-1](*trained.prepare(inputs))  # type: ignore[index]
    kept, moved = highs(1.0), highs(0.0)
    assert kept[-1] == pytest.approx(float(hidden.max()), rel=0.3)
    assert kept != moved
    assert highs(1.0) == kept


def test_the_trainings_own_settings_are_taken(trained: Network, compression_data: CompressionData) -> None:
    for changed in ({"optimizer": Muon(lr=0.001)}, {"precision": "bf16", "activation_checkpointing": True, "ema": 0.9}):
        training = compression_data.training.model_copy(update=changed)
        rounded = quantize_aware(trained, ONE_EPOCH, dataclasses.replace(compression_data, training=training))
        check_parity(rounded, export_onnx(rounded), compression_data.validation_samples.inputs)


@pytest.mark.parametrize(("reduced", "largest"), [(True, 64), (False, 127)])
def test_seven_bits_are_kept_where_eight_would_overflow(
    reduced: bool, largest: int, trained: Network, compression_data: CompressionData
) -> None:
    config = ONE_EPOCH.model_copy(update={"reduced_range": reduced})
    graph = onnx.load_from_string(export_onnx(quantize_aware(trained, config, compression_data))).graph
    codes = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name.endswith("weight.codes")]
    assert [int(np.abs(code.astype(int)).max()) for code in codes] == [largest] * 4


def test_the_graph_can_be_optimized_afterwards(
    aware_onnx: bytes, calibration_data: CalibrationData, grey: ImageInput, digits  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    smaller = optimize_graph(aware_onnx, OptimizeGraph(short_names=True), calibration_data)
    assert len(smaller) < len(aware_onnx)
    assert operators(smaller)["QGemm"] == 2
    answers = [predict(open_session(file, 1), digits.test.inputs, grey) for file in (aware_onnx, smaller)]
    assert (answers[0].argmax(1) == answers[1].argmax(1)).mean() > 0.995


def test_what_stays_in_float_is_said(events: list[Event]) -> None:
    model, given = FAMILIES["gru series"]
    quantize_aware(build(model, given), ONE_EPOCH, data_of(given))
    said = [event.text for event in events if isinstance(event, Step)]
    assert any("1 layers in" in text and "in float stay layers.0 (GRU), layers.1 (GRU)" in text for text in said)


class Twice(nn.Module):
    """A convolution's output is used before and after the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.output = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 10)
        nn.init.constant_(self.norm.weight, 3)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        inner = self.conv(x_BCHW)
        out: torch.Tensor = self.output((inner + self.norm(inner)).mean(dim=(2, 3)))
        return out


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Softmax(dim=1)), "finds nothing that it can quantize"),
        (Twice(), "cannot make the batch norms of this network part of its convolutions: answers would change by up"),
    ],
)
def test_a_network_that_cannot_be_quantized_is_told(
    body: nn.Module, message: str, trained: Network, compression_data: CompressionData
) -> None:
    network = build(trained.spec.model, trained.spec.input, trained.spec.output)
    network.body = body.eval()
    with pytest.raises(CompressionError, match=f"candidate: quantize_aware {message}"):
        quantize_aware(network, ONE_EPOCH, compression_data)


def test_a_second_time_and_no_samples_are_told(
    aware: Network, trained: Network, compression_data: CompressionData
) -> None:
    with pytest.raises(CompressionError, match="candidate: quantize_aware was applied already"):
        quantize_aware(aware, ONE_EPOCH, compression_data)
    nothing = compression_data.training_samples.take(np.zeros(0, np.int64))
    with pytest.raises(CompressionError, match="there are no training samples to read ranges from"):
        quantize_aware(trained, ONE_EPOCH, dataclasses.replace(compression_data, training_samples=nothing))


@pytest.mark.parametrize("step", ["quantize_static", "prune_channels", "finetune"])
def test_nothing_but_a_clean_up_follows_in_a_chain(step: str) -> None:
    first = [{"kind": "prune_channels", "ratio": 0.5}, {"kind": "quantize_aware"}, {"kind": "optimize_graph"}]
    next_step = {"kind": step} | ({"ratio": 0.5} if step == "prune_channels" else {})
    chains = {
        "one": Candidate.model_validate(first),
        "two": Candidate.model_validate({"from": "one", "steps": [next_step]}),
    }
    (problem,) = find_chain_problems(chains)
    assert problem[:2] == (("two", "steps", 0), f"{step} cannot follow quantize_aware of 'one'")
