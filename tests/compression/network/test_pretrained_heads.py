"""Heads and feed-forward units of pretrained encoders go whole, and what is left is stored, trained and served."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.other_process import rebuilt_answers
from helpers.pretrained_networks import NAMES, TEXT, WIDTH, answers, build, data, samples
from torch import nn

from thresher.compression.data import CalibrationData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.pruning_groups import prunable_groups, refused_groups
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.models.network import Network
from thresher.models.storage import load_network, save_network

EVERY = [pytest.param(name, marks=() if name == "bert" else pytest.mark.slow) for name in NAMES]


@cache
def half(name: str, importance: Any = "taylor") -> Network:
    return prune_channels(build(name), PruneChannels(ratio=0.5, importance=importance), data())


def attentions(network: Network) -> list[tuple[str, nn.Module]]:
    """Return the modules that mix the tokens of each block, by what they are called in transformers."""
    ends = ("attention.self", "distilbert.transformer.layer.0.attention", "distilbert.transformer.layer.1.attention")
    return [(name, module) for name, module in network.body.named_modules() if name.endswith((*ends, ".attn"))]


def whole_heads(rows: torch.Tensor, whole: torch.Tensor) -> list[int]:
    """Return which heads of ``whole`` the ``rows`` are; fails where they are not whole ones."""
    blocks = list(whole.unflatten(0, (-1, WIDTH)))
    return [
        next(number for number, block in enumerate(blocks) if torch.equal(block, head))
        for head in rows.unflatten(0, (-1, WIDTH))
    ]


@pytest.mark.parametrize("name", EVERY)
def test_half_of_the_heads_and_of_the_units_go(name: str) -> None:
    whole = prunable_groups(build(name))
    assert refused_groups(build(name)) == {}
    assert sorted(whole.values()) == [4, 4, 32, *(2 * [96 if name == "modernbert" else 48])]
    for importance in ("taylor", "activations", "l2"):
        assert prunable_groups(half(name, importance)) == {group: count // 2 for group, count in whole.items()}


@pytest.mark.parametrize("name", EVERY)
def test_every_layer_of_an_attention_keeps_the_same_whole_heads(name: str) -> None:
    """Four heads of 8, cut to 9, 7, 8 and 8 rows and viewed as two: every check on the answers alone passes."""
    before, after = dict(attentions(build(name))), dict(attentions(half(name)))
    assert len(before) == 2
    for place, attention in before.items():
        cut = dict(after[place].named_parameters())
        kept = set()
        for key, whole in attention.named_parameters():
            if whole.ndim == 2 and key not in ("out_lin.weight", "Wo.weight"):
                heads = whole_heads(cut[key], whole)
                # Query, key and value of one layer: one after another, or head by head.
                heads = [head // 3 for head in heads[::3]] if key == "in_proj.weight" else heads
                parts = [tuple(head % 4 for head in heads[first : first + 2]) for first in range(0, len(heads), 2)]
                kept.update(parts)
        assert len(kept) == 1


@pytest.mark.parametrize("name", EVERY)
def test_what_is_stored_is_rebuilt_trained_on_exported_and_quantized(name: str, tmp_path: Path) -> None:
    tuned = finetune(half(name), Finetune(epochs=1), data()).eval()
    assert not np.array_equal(answers(tuned), answers(half(name)))
    save_network(tuned, tmp_path)
    rebuilt = load_network(tmp_path)
    np.testing.assert_array_equal(answers(rebuilt), answers(tuned))
    assert [numbers(module) for module in rebuilt.body.modules()] == [numbers(each) for each in tuned.body.modules()]
    onnx_file = export_onnx(tuned)
    check_parity(tuned, onnx_file, samples().inputs)
    int8 = quantize_dynamic(onnx_file, QuantizeDynamic(), CalibrationData("int8", TEXT, samples(), seed=1))
    served, exact = (predict(open_session(file, 1), samples().inputs, TEXT) for file in (int8, onnx_file))
    assert len(int8) < len(onnx_file) and np.abs(served - exact).mean() < 0.05


def numbers(module: nn.Module) -> dict[str, int]:
    """Return what ``module`` counts, such as its heads."""
    return {key: value for key, value in vars(module).items() if type(value) is int}


@pytest.mark.slow
def test_another_process_rebuilds_them_bit_for_bit(tmp_path: Path) -> None:
    rebuilt = rebuilt_answers({name: (half(name), samples().inputs) for name in NAMES}, tmp_path)
    for name in NAMES:
        np.testing.assert_array_equal(rebuilt[name], answers(half(name)))


def test_attributes_that_count_heads_are_cut_with_them() -> None:
    attention: Any = half("bert").body.get_submodule("model.bert.encoder.layer.1.attention.self")
    assert (attention.num_attention_heads, attention.attention_head_size, attention.all_head_size) == (2, 8, 16)


def test_steps_times_samples_are_not_taken_for_heads() -> None:
    spec = build("bert").spec  # 32 values of a layer are 4 heads of 8, and 2 samples of 16 steps come to as many
    network = Network(spec.model_copy(update={"input": TEXT.model_copy(update={"max_length": 16})})).eval()
    assert set(prunable_groups(network).values()) == {4, 32, 48}


def test_the_output_layer_is_the_heads_also_where_that_is_registered_first() -> None:
    for name in NAMES:
        assert build(name).output_layer().out_features == 4, name
