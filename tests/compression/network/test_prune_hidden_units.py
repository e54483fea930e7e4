"""Hidden units of LSTMs and GRUs go from every gate and from all that reads them; what stays computes as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import answers, build, build_trained, data_for, draw_for, num_weights

from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.pruning_groups import prunable_groups
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.export import check_parity, export_onnx
from thresher.models.network import Network
from thresher.models.recurrent.config import Gru, Lstm
from thresher.models.storage import load_network, save_network

LSTM = Lstm(dimension=12, hidden=8, num_layers=2)
GRU = Gru(hidden=10, bidirectional=False)
GATES = {"lstm": 4, "gru": 3}


def hidden_sizes(network: Network) -> list[int]:
    return list(prunable_groups(network).values())


def suffixes(model: Lstm | Gru) -> tuple[str, ...]:
    return ("", "_reverse") if model.bidirectional else ("",)


def weights_by_hand(inputs: int, hidden: int, layers: int, directions: int, gates: int) -> list[int]:
    """Return the weights of each layer without biases, then those of the output."""
    sizes = [inputs, *[directions * hidden] * (layers - 1)]
    return [*(directions * gates * hidden * (size + hidden) for size in sizes), directions * hidden * 4]


@pytest.mark.parametrize(("model", "inputs", "kept"), [(LSTM, 12, 6), (GRU, 3, 7), (Gru(hidden=8, num_layers=2), 3, 6)])
def test_parameters_and_sums_are_those_of_a_smaller_network(model: Lstm | Gru, inputs: int, kept: int) -> None:
    pruned = prune_channels(build(model), PruneChannels(ratio=0.27), data_for(model))
    assert hidden_sizes(pruned) == [kept] * model.num_layers
    directions, gates = len(suffixes(model)), GATES[model.kind]
    *layers, output = weights_by_hand(inputs, kept, model.num_layers, directions, gates)
    biases = model.num_layers * directions * gates * kept * 2 + 4
    assert num_weights(pruned) == sum(layers) + output + biases
    onnx_file = export_onnx(pruned)
    steps = pruned.spec.input.longest[0]
    assert measure_cost(onnx_file, pruned.spec.input).macs == steps * sum(layers) + output
    for lengths in ([1], [20], [7, 3, 1, 20, 5]):
        assert check_parity(pruned, onnx_file, draw_for(model, lengths)) < 1e-5


@pytest.mark.parametrize("power", [1, 2])
def test_each_direction_loses_its_own_least_units_and_the_next_layers_lose_what_read_them(power: int) -> None:
    network = build(LSTM)
    state = {name.removeprefix("body."): value for name, value in network.state_dict().items()}
    # Of the first layer, the second one's inputs: eight forward units, then eight backward ones.
    after = [state[f"layers.1.weight_ih_l0{suffix}"] for suffix in ("", "_reverse")]
    kept, rows = {}, {}
    for direction, suffix in enumerate(("", "_reverse")):
        own = [state[f"layers.0.weight_{name}_l0{suffix}"] for name in ("ih", "hh")]
        scores = torch.zeros(8)
        for unit in range(8):
            gates = [unit, 8 + unit, 16 + unit, 24 + unit]
            taken = [*(weight[gates] for weight in own), own[1][:, unit]]
            taken += [weight[:, 8 * direction + unit] for weight in after]
            scores[unit] = sum(weight.abs().pow(power).sum() for weight in taken)
        kept[suffix] = sorted(scores.argsort()[3:].tolist())
        rows[suffix] = [8 * gate + unit for gate in range(4) for unit in kept[suffix]]
    assert kept[""] != kept["_reverse"]

    config = PruneChannels(ratio=0.4, ratios={"layers.1": 0}, importance=f"l{power}")
    pruned = prune_channels(network, config, data_for(LSTM)).body
    for suffix in kept:
        for name in ("weight_ih", "bias_ih", "bias_hh"):
            got = pruned.get_parameter(f"layers.0.{name}_l0{suffix}")
            assert torch.equal(got, state[f"layers.0.{name}_l0{suffix}"][rows[suffix]])
        recurrent = state[f"layers.0.weight_hh_l0{suffix}"][rows[suffix]][:, kept[suffix]]
        assert torch.equal(pruned.get_parameter(f"layers.0.weight_hh_l0{suffix}"), recurrent)
        columns = [*kept[""], *(8 + unit for unit in kept["_reverse"])]
        following = state[f"layers.1.weight_ih_l0{suffix}"]
        assert torch.equal(pruned.get_parameter(f"layers.1.weight_ih_l0{suffix}"), following[:, columns])
    assert torch.equal(pruned.get_parameter("output.weight"), state["output.weight"])
    assert torch.equal(pruned.get_parameter("embedding.weight"), state["embedding.weight"])


def silence(network: Network, layer: int, units: list[list[int]]) -> None:
    """Let nothing read these units of each direction, and make them small."""
    body, hidden = network.body, prunable_groups(network)[f"layers.{layer}"]
    model = network.spec.model
    assert isinstance(model, Lstm | Gru)
    following = f"layers.{layer + 1}.weight_ih_l0" if layer + 1 < model.num_layers else "output.weight"
    readers = [name for name, _ in body.named_parameters() if name.startswith(following)]
    with torch.no_grad():
        for direction, suffix in enumerate(suffixes(model)):
            for unit in units[direction]:
                rows = torch.arange(GATES[model.kind]) * hidden + unit
                body.get_parameter(f"layers.{layer}.weight_hh_l0{suffix}")[:, unit] = 0
                for name in ("weight_ih", "weight_hh"):
                    body.get_parameter(f"layers.{layer}.{name}_l0{suffix}")[rows] *= 0.01
                for name in readers:
                    body.get_parameter(name)[:, direction * hidden + unit] = 0


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from([Lstm, Gru]), bidirectional=st.booleans(), num_layers=st.integers(1, 2),
    num_silent=st.integers(1, 5), importance=st.sampled_from(["l1", "l2", "taylor", "activations"]), data=st.data(),
)  # fmt: skip
def test_units_that_nothing_reads_go_first_and_no_answer_changes(  # type: ignore[no-untyped-def]
    kind: type[Lstm | Gru], bidirectional: bool, num_layers: int, num_silent: int, importance: str, data
) -> None:
    model = kind(dimension=5, hidden=6, num_layers=num_layers, bidirectional=bidirectional)
    network = build(model)
    some = st.lists(st.integers(0, 5), min_size=num_silent, max_size=num_silent, unique=True)
    for layer in range(num_layers):
        silence(network, layer, [data.draw(some) for _ in suffixes(model)])
    config = PruneChannels(ratio=num_silent / 6, importance=importance)
    pruned = prune_channels(network, config, data_for(model))
    assert hidden_sizes(pruned) == [6 - num_silent] * num_layers
    lengths = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    together = draw_for(model, lengths)
    np.testing.assert_allclose(answers(pruned, together), answers(network, together), atol=1e-6)
    alone = [answers(pruned, together[index : index + 1, :length]) for index, length in enumerate(lengths)]
    np.testing.assert_allclose(answers(pruned, together), np.concatenate(alone), atol=1e-6)


@pytest.mark.parametrize("model", [LSTM, GRU], ids=["lstm", "gru"])
def test_what_is_stored_comes_back_with_its_widths(model: Lstm | Gru, tmp_path: Path) -> None:
    pruned = prune_channels(build(model), PruneChannels(ratio=0.5, importance="taylor"), data_for(model))
    save_network(pruned, tmp_path)
    loaded, samples = load_network(tmp_path), draw_for(model, [3, 9])
    assert loaded.spec == pruned.spec
    assert loaded.spec.channel_plan["layers.0"]["hidden_size"] == model.hidden // 2
    np.testing.assert_array_equal(answers(loaded, samples), answers(pruned, samples))


def test_layers_have_shares_of_their_own_and_round_to_multiples() -> None:
    model = Lstm(dimension=12, hidden=16, num_layers=3)
    config = PruneChannels(ratio=0.3, ratios={"layers.1": 0, "layers.2": 0.9}, round_to=4)
    assert hidden_sizes(prune_channels(build(model), config, data_for(model))) == [12, 16, 4]


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.8])
def test_a_global_ranking_takes_the_share_of_all_units_and_more_where_they_matter_less(ratio: float) -> None:
    network = build(LSTM)
    with torch.no_grad():  # one strong unit among weak ones, in both directions
        for suffix in ("", "_reverse"):
            network.body.get_parameter(f"layers.1.weight_ih_l0{suffix}")[::8] *= 20
    pruned = hidden_sizes(prune_channels(network, PruneChannels(ratio=ratio, scope="global"), data_for(LSTM)))
    assert sum(pruned) == 16 - round(16 * ratio)
    assert pruned[0] > pruned[1] >= 1


def test_what_cannot_be_is_told_with_the_layers_name() -> None:
    data = data_for(GRU)
    with pytest.raises(CompressionError, match=r"leave layers\.0 none of its 10 units\. Lower its ratio below 0\.95"):
        prune_channels(build(GRU), PruneChannels(ratio=0.96), data)
    with pytest.raises(CompressionError, match=r"no layer is called 'layer\.0'\. Did you mean 'layers\.0'\?"):
        prune_channels(build(GRU), PruneChannels(ratio=0.5, ratios={"layer.0": 0.1}), data)
    with pytest.raises(CompressionError, match=r"a gru has none\. Allowed: l1, l2, taylor, activations, random\."):
        prune_channels(build(GRU), PruneChannels(ratio=0.5, importance="batch_norm"), data)


def test_chance_is_drawn_by_the_seed_for_each_direction() -> None:
    config = PruneChannels(ratio=0.5, importance="random")
    one, same = (prune_channels(build(LSTM), config, data_for(LSTM)) for _ in range(2))
    assert all(torch.equal(left, right) for left, right in zip(one.parameters(), same.parameters(), strict=True))
    by_norm = prune_channels(build(LSTM), PruneChannels(ratio=0.5), data_for(LSTM))
    assert not torch.equal(one.body.get_parameter("output.weight"), by_norm.body.get_parameter("output.weight"))


def test_training_between_the_steps_keeps_more() -> None:
    model = Lstm(dimension=16, hidden=16, bidirectional=False)
    network, data = build_trained(model), data_for(model)

    def accuracy(**settings: object) -> float:
        pruned = prune_channels(network, PruneChannels.model_validate({"ratio": 0.5, **settings}), data)
        assert hidden_sizes(pruned) == [8]
        samples = data.validation_samples
        return float((answers(pruned, samples.inputs).argmax(axis=1) == samples.labels).mean())

    assert accuracy(iterations=3, between={"epochs": 1}) > accuracy() + 0.05
