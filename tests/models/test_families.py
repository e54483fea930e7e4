"""Every family: its answer is the same alone, padded, in a batch, exported, and stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from any_family import FAMILIES, IMAGE, ROW, SEQUENCES, SERIES, SMALL_TRANSFORMER, TEXT, draw
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError

from thresher.export import check_parity, export_onnx
from thresher.kinds.built_in import MODELS
from thresher.modalities.outputs import AnyOutput, ClassOutput, ValueOutput
from thresher.models import ModelChoice
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import load_network, save_network
from thresher.training import Training
from thresher.training.losses import build_loss

CLASSES, VALUE = ClassOutput(num_classes=4), ValueOutput(mean=50.0, std=20.0)


def network_of(name: str, output: AnyOutput = CLASSES) -> Network:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, given = FAMILIES[name]
    return Network(NetworkSpec(model=model, input=given, output=output)).eval()


def answers(network: Network, samples: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network.predict(torch.from_numpy(samples)).numpy()


def test_every_model_of_the_table_is_among_them() -> None:
    seen = {(model.kind, given.kind) for model, given in FAMILIES.values()}
    of_a_folder = {("pretrained", "text"), ("pretrained", "image")}  # test_pretrained*.py try those
    networks = {(kind.name, given) for kind in MODELS if kind.is_network for given in kind.takes}
    assert seen == networks - of_a_folder


@pytest.mark.parametrize(
    ("name", "output"),
    [*((name, CLASSES) for name in FAMILIES), *((name, VALUE) for name in ("cnn", "textcnn", "linear row", "cnn1d"))],
)
def test_the_exported_file_gives_torchs_answers_at_every_batch_and_length(name: str, output: AnyOutput) -> None:
    network = network_of(name, output)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    onnx_file = export_onnx(network)
    for lengths in ([1], [20], [7, 3, 1, 20, 5], [1, 1]):
        assert check_parity(network, onnx_file, draw(FAMILIES[name][1], lengths)) < 1e-5
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("name", SEQUENCES)
@settings(max_examples=15, deadline=None)
@examples(lengths=st.lists(st.integers(1, 20), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_an_answer_does_not_depend_on_padding_or_on_the_others_of_the_batch(
    name: str, lengths: list[int], seed: int
) -> None:
    network, given = network_of(name), FAMILIES[name][1]
    together = draw(given, lengths, seed)
    alone = [answers(network, together[index : index + 1, :length]) for index, length in enumerate(lengths)]
    np.testing.assert_allclose(answers(network, together), np.concatenate(alone), atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_stored_comes_back(name: str, tmp_path: Path) -> None:
    network, samples = network_of(name), draw(FAMILIES[name][1], [3, 5])
    save_network(network, tmp_path / "network")
    np.testing.assert_array_equal(answers(load_network(tmp_path / "network"), samples), answers(network, samples))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_weight_learns(name: str) -> None:
    network, samples = network_of(name).train(), draw(FAMILIES[name][1], [9, 12, 5, 7])
    labels = np.array([0, 1, 2, 3])
    loss = build_loss(CLASSES, Training(), labels, torch.device("cpu"))
    loss.sum(network(torch.from_numpy(samples)), torch.from_numpy(labels)).backward()
    without = [key for key, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not without


def test_padding_and_unseen_categories_are_the_zero_vector() -> None:
    for name in ("textcnn", "lstm text", "transformer"):
        assert not network_of(name).body.get_parameter("embedding.weight")[0].any()
    assert not network_of("mlp row").body.get_parameter("embedding.embeddings.1.weight")[0].any()


def test_a_linear_model_over_numbers_is_a_weighted_sum() -> None:
    network = network_of("linear row", VALUE)
    samples = draw(ROW, [1] * 6)
    samples[:, ROW.num_numeric :] = 0
    weight, bias = (network.body.get_parameter(f"linear.{name}").detach().numpy() for name in ("weight", "bias"))
    expected = (samples[:, : ROW.num_numeric] @ weight.T + bias) * VALUE.std + VALUE.mean
    np.testing.assert_allclose(answers(network, samples), expected, rtol=1e-5)


@pytest.mark.parametrize(("depth", "num_layers"), [(20, 20), (56, 56)])
def test_a_resnet_has_as_many_layers_as_its_depth(depth: int, num_layers: int) -> None:
    model = ModelChoice.model_validate({"kind": "resnet", "depth": depth}).root
    network = Network(NetworkSpec(model=model, input=IMAGE, output=CLASSES))
    names = [name for name, weight in network.named_parameters() if weight.ndim > 1 and "shortcut" not in name]
    assert len(names) == num_layers


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"kind": "resnet", "depth": 21}, "a depth is 6n\\+2, got 21; the nearest are 20 and 26"),
        ({"kind": "transformer", "dimension": 10, "num_heads": 3}, "dimension 10 cannot be divided evenly"),
        ({"kind": "cnn1d", "kernel": 4}, "a kernel has a middle, got 4; use 3 or 5"),
    ],
)
def test_sizes_that_cannot_be_are_refused(model: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ModelChoice.model_validate(model)


def test_recurrent_weights_stand_in_the_file_once_and_are_not_turned_at_every_call() -> None:
    import onnx

    graph = onnx.load_from_string(export_onnx(network_of("lstm text"))).graph
    assert [node.op_type for node in graph.node].count("LSTM") == 2
    assert "Split" not in {node.op_type for node in graph.node}
    numbers = sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
    assert numbers < 1.1 * sum(weight.numel() for weight in network_of("lstm text").parameters())


def test_an_exported_transformer_masks_without_a_sum_that_would_fill_the_range_of_8_bits() -> None:
    import onnx

    graph = onnx.load_from_string(export_onnx(network_of("transformer"))).graph
    makers = {name: node for node in graph.node for name in node.output}
    softmaxes = [node for node in graph.node if node.op_type == "Softmax" and node.output[0] != "probabilities"]
    assert [makers[node.input[0]].op_type for node in softmaxes] == ["Where"] * SMALL_TRANSFORMER.num_layers
    assert "IsNaN" not in {node.op_type for node in graph.node}


def test_sequences_of_one_step_at_most_can_be_exported() -> None:
    text, series = TEXT.model_copy(update={"max_length": 1}), SERIES.model_copy(update={"max_length": 1})
    for name, given in (("transformer", text), ("gru series", series), ("cnn1d", series)):
        network = Network(NetworkSpec(model=FAMILIES[name][0], input=given, output=CLASSES)).eval()
        check_parity(network, export_onnx(network), draw(given, [1, 1, 1]))


def test_text_and_series_are_as_long_as_they_are() -> None:
    assert (TEXT.shape, SERIES.shape) == ((None,), (None, 3))
