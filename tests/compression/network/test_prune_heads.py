"""Heads and feed-forward units of Transformers go from all layers that hold them; a token's vector stays as wide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import answers, build, data_for, draw_for, num_weights

from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.pruning_groups import prunable_groups
from thresher.errors import CompressionError
from thresher.evaluation.cost import measure_cost
from thresher.export import check_parity, export_onnx
from thresher.models.network import Network
from thresher.models.storage import load_network, save_network
from thresher.models.transformer.config import Transformer

MODEL = Transformer(dimension=24, num_heads=6, num_layers=2, feed_forward=20)
WIDTH = 4
HEADS, UNITS = ("blocks.0.query_key_value", "blocks.1.query_key_value"), ("blocks.0.expand", "blocks.1.expand")
DATA = data_for(MODEL)


def rows_of(heads: list[int], num_heads: int = 6) -> list[int]:
    """Return the rows of query, key and value."""
    return [(part * num_heads + head) * WIDTH + place for part in range(3) for head in heads for place in range(WIDTH)]


def columns_of(heads: list[int]) -> list[int]:
    return [head * WIDTH + place for head in heads for place in range(WIDTH)]


def test_heads_and_feed_forward_units_are_what_can_go() -> None:
    groups = prunable_groups(build(MODEL))
    assert groups == {HEADS[0]: 6, UNITS[0]: 20, HEADS[1]: 6, UNITS[1]: 20}


def test_parameters_and_sums_are_those_of_a_smaller_network() -> None:
    pruned = prune_channels(build(MODEL), PruneChannels(ratio=0.5, ratios={UNITS[1]: 0.25}), DATA)
    assert prunable_groups(pruned) == {HEADS[0]: 3, UNITS[0]: 10, HEADS[1]: 3, UNITS[1]: 15}
    dimension, inner, steps = 24, 3 * WIDTH, 20
    attention = dimension * 3 * inner + inner * dimension
    feed_forward = [2 * dimension * units for units in (10, 15)]
    biases = 2 * (3 * inner + dimension + dimension) + 10 + 15 + 4
    norms = 5 * 2 * dimension
    assert num_weights(pruned) == 2 * attention + sum(feed_forward) + 4 * dimension + biases + norms
    onnx_file = export_onnx(pruned)
    mixing = 2 * steps * steps * inner  # query times key, and what that weighs
    expected = 2 * (steps * attention + mixing) + steps * sum(feed_forward) + 4 * dimension
    assert measure_cost(onnx_file, pruned.spec.input).macs == expected
    for lengths in ([1], [20], [7, 3, 1, 20, 5]):
        assert check_parity(pruned, onnx_file, draw_for(MODEL, lengths)) < 1e-5


@pytest.mark.parametrize("power", [1, 2])
def test_the_heads_of_least_weight_go_from_query_key_value_and_from_what_reads_them(power: int) -> None:
    network = build(MODEL)
    state = {name.removeprefix("body."): value for name, value in network.state_dict().items()}
    weight, reads = state[f"{HEADS[1]}.weight"], state["blocks.1.attention_output.weight"]
    scores = [
        float(weight[rows_of([head])].abs().pow(power).sum() + reads[:, columns_of([head])].abs().pow(power).sum())
        for head in range(6)
    ]
    kept = sorted(np.argsort(scores)[2:].tolist())
    config = PruneChannels(ratio=0.33, ratios=dict.fromkeys((HEADS[0], *UNITS), 0.0), importance=f"l{power}")
    pruned = prune_channels(network, config, DATA).body.state_dict()
    assert torch.equal(pruned[f"{HEADS[1]}.weight"], weight[rows_of(kept)])
    assert torch.equal(pruned[f"{HEADS[1]}.bias"], state[f"{HEADS[1]}.bias"][rows_of(kept)])
    assert torch.equal(pruned["blocks.1.attention_output.weight"], reads[:, columns_of(kept)])
    touched = (HEADS[1], "blocks.1.attention_output.weight")
    assert all(torch.equal(pruned[name], value) for name, value in state.items() if not name.startswith(touched))


def silence(network: Network, block: int, heads: list[int], units: list[int]) -> None:
    """Let nothing read these heads and units, and make them small."""
    body = network.body
    with torch.no_grad():
        body.get_parameter(f"{HEADS[block]}.weight")[rows_of(heads)] *= 0.01
        body.get_parameter(f"blocks.{block}.attention_output.weight")[:, columns_of(heads)] = 0
        body.get_parameter(f"{UNITS[block]}.weight")[units] *= 0.01
        body.get_parameter(f"blocks.{block}.contract.weight")[:, units] = 0


@settings(max_examples=20, deadline=None)
@given(
    num_heads=st.integers(1, 5), num_units=st.integers(1, 19),
    importance=st.sampled_from(["l1", "l2", "taylor", "activations"]), data=st.data(),
)  # fmt: skip
def test_what_nothing_reads_goes_first_and_no_answer_changes(  # type: ignore[no-untyped-def]
    num_heads: int, num_units: int, importance: str, data
) -> None:
    network = build(MODEL)
    for block in range(2):
        heads, units = (
            data.draw(st.lists(st.integers(0, top), min_size=count, max_size=count, unique=True))
            for top, count in ((5, num_heads), (19, num_units))
        )
        silence(network, block, heads, units)
    ratios = {**dict.fromkeys(HEADS, num_heads / 6), **dict.fromkeys(UNITS, num_units / 20)}
    pruned = prune_channels(network, PruneChannels(ratio=0.5, ratios=ratios, importance=importance), DATA)
    assert [*prunable_groups(pruned).values()] == 2 * [6 - num_heads, 20 - num_units]
    lengths = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    together = draw_for(MODEL, lengths)
    np.testing.assert_allclose(answers(pruned, together), answers(network, together), atol=1e-5)
    alone = [answers(pruned, together[index : index + 1, :length]) for index, length in enumerate(lengths)]
    np.testing.assert_allclose(answers(pruned, together), np.concatenate(alone), atol=1e-5)


def test_what_is_stored_comes_back_with_its_heads(tmp_path: Path) -> None:
    pruned = prune_channels(build(MODEL), PruneChannels(ratio=0.5, importance="taylor"), DATA)
    save_network(pruned, tmp_path)
    loaded, samples = load_network(tmp_path), draw_for(MODEL, [3, 9])
    assert loaded.spec == pruned.spec
    rows = 3 * 3 * WIDTH
    assert loaded.spec.channel_plan[HEADS[0]] == {"weight": (rows, 24), "bias": (rows,), "out_features": rows}
    np.testing.assert_array_equal(answers(loaded, samples), answers(pruned, samples))


@pytest.mark.parametrize(("round_to", "heads", "units"), [(1, 3, 10), (2, 3, 10), (8, 4, 16), (16, 4, 16)])
def test_heads_round_to_multiples_of_the_channels_that_they_are_wide(round_to: int, heads: int, units: int) -> None:
    pruned = prunable_groups(prune_channels(build(MODEL), PruneChannels(ratio=0.5, round_to=round_to), DATA))
    assert (pruned[HEADS[0]], pruned[UNITS[0]]) == (heads, units)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_a_global_ranking_leaves_every_block_a_head(ratio: float) -> None:
    network = build(MODEL)
    with torch.no_grad():  # one strong head among weak ones
        network.body.get_parameter(f"{HEADS[1]}.weight")[rows_of([2])] *= 30
    pruned = prunable_groups(prune_channels(network, PruneChannels(ratio=ratio, scope="global"), DATA))
    assert sum(pruned.values()) == 52 - round(52 * ratio)
    assert min(pruned.values()) >= 1
    assert pruned[HEADS[1]] <= pruned[HEADS[0]]


def test_a_ratio_that_would_leave_no_head_is_told_with_the_layers_name() -> None:
    where = r"leave blocks\.0\.query_key_value none of its 6 heads\. Lower its ratio below 0\.92"
    with pytest.raises(CompressionError, match=where):
        prune_channels(build(MODEL), PruneChannels(ratio=0.95), DATA)


def test_a_transformer_has_no_batch_norm_to_go_by() -> None:
    with pytest.raises(
        CompressionError, match=r"a transformer has none\. Allowed: l1, l2, taylor, activations, random\."
    ):
        prune_channels(build(MODEL), PruneChannels(ratio=0.5, importance="batch_norm"), DATA)


def test_several_steps_come_to_the_same_widths() -> None:
    once, slowly = (prune_channels(build(MODEL), PruneChannels(ratio=0.6, iterations=count), DATA) for count in (1, 4))
    assert prunable_groups(once) == prunable_groups(slowly) == {HEADS[0]: 2, UNITS[0]: 8, HEADS[1]: 2, UNITS[1]: 8}
