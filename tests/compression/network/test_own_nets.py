"""Networks that people bring: half of their channels go, heads go whole, and what is stored comes back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import own_nets
from helpers.other_process import rebuilt_answers
from torch import nn

from thresher.compression.data import CalibrationData, CompressionData
from thresher.compression.file.quantize_dynamic import QuantizeDynamic, quantize_dynamic
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.pruning_groups import prunable_groups, refused_groups, remove_groups
from thresher.compression.network.removal import StructureError
from thresher.compression.network.structure import trace
from thresher.errors import CompressionError
from thresher.evaluation.runtime import open_session, predict
from thresher.export import check_parity, export_onnx
from thresher.kinds.registry import PROJECT, use_project
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.text.model_input import TextInput
from thresher.models.network import Network, NetworkSpec
from thresher.models.storage import check_storable, load_network, save_network
from thresher.training import Training
from thresher.training.optimizers import Adam

sys.path.append(str(Path(__file__).parents[2] / "models"))
from learnable import draw_learnable

TESTS = Path(__file__).parents[2]
IMAGE = ImageInput(channels=3, height=16, width=16, mean=(100.0,) * 3, std=(50.0,) * 3)
TEXT = TextInput(vocabulary_size=40, max_length=20)
NETS: dict[str, Any] = {
    "unet": own_nets.UNetSettings(),
    "vit": own_nets.ViTSettings(),
    "fused_vit": own_nets.FusedViTSettings(),
    "mobilenet": own_nets.MobileNetSettings(),
    "tied": own_nets.TiedSettings(),
    "lstm": own_nets.LstmSettings(),
    "gru": own_nets.LstmSettings(cell="GRU"),
    "bert": own_nets.BertSettings(),
}
TRAINING = Training(optimizer=Adam(lr=0.001), epochs=1, batch_size=32)


@pytest.fixture(autouse=True, scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Have the kinds of a project whose source folder is this repository's tests."""
    folder, before = tmp_path_factory.mktemp("project"), os.environ.get(PROJECT)
    settings = f'[tool.kedro]\nsource_dir = "{TESTS}"\n[tool.thresher]\nkinds = "helpers.own_nets"\n'
    (folder / "pyproject.toml").write_text(settings)
    use_project(folder)
    yield folder
    del os.environ[PROJECT]
    if before is not None:
        os.environ[PROJECT] = before


def given_of(name: str) -> Any:
    return TEXT if name in ("lstm", "gru", "bert") else IMAGE


@cache
def build(name: str) -> Network:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return Network(NetworkSpec(model=NETS[name], input=given_of(name), output=ClassOutput(num_classes=4))).eval()


@cache
def samples_of(name: str) -> Any:
    return draw_learnable(given_of(name), 64, 1)


def data_of(name: str) -> CompressionData:
    return CompressionData("half", given_of(name), samples_of(name), samples_of(name), TRAINING)


@cache
def half(name: str) -> Network:
    return prune_channels(build(name), PruneChannels(ratio=0.5, round_to=1), data_of(name))


@torch.no_grad()
def answers(network: Network, name: str) -> np.ndarray:
    return np.asarray(network(torch.from_numpy(samples_of(name).inputs)))


GROUPS = {
    "unet": {"last.0": 16, "up": 16, "middle.0": 32, "down2.0": 32, "down1.0": 16},
    "vit": {"encoder.layers.1.linear2": 4, "encoder.layers.1.linear1": 64, "encoder.layers.0.linear1": 64},
    "fused_vit": {"blocks.1.out": 32, "blocks.1.gated": 96, "blocks.0.gated": 96, "blocks.0.qkv": 4, "blocks.1.qkv": 4},
    "mobilenet": {
        "blocks.2.project.0": 24, "blocks.2.excite": 96, "blocks.2.squeeze": 24, "blocks.1.excite": 64,
        "blocks.1.squeeze": 16, "blocks.0.project.0": 16, "blocks.0.excite": 64, "blocks.0.squeeze": 16,
    },
    "tied": {"wide": 16, "first": 16},
    "lstm": {"score.0": 8, "rnn": 12},
    "gru": {"score.0": 8, "rnn": 12},
    "bert": {
        "pooler": 64, "layers.1.intermediate": 96, "layers.1.attention.value": 4, "layers.0.intermediate": 96,
        "layers.0.attention.value": 4,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_half_of_every_group_goes(name: str) -> None:
    whole = prunable_groups(build(name))
    assert whole == GROUPS[name]
    assert set(refused_groups(build(name))) == ({"hidden", "again", "twin"} if name == "tied" else set())
    kept = prunable_groups(half(name))
    assert kept == {group: count // 2 for group, count in whole.items()}


@pytest.mark.slow
def test_what_is_stored_is_rebuilt_in_another_process_bit_for_bit(project: Path, tmp_path: Path) -> None:
    rebuilt = rebuilt_answers({name: (half(name), samples_of(name).inputs) for name in NETS}, tmp_path, cwd=project)
    for name in NETS:
        np.testing.assert_array_equal(rebuilt[name], answers(half(name), name))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_what_is_left_trains_on_is_exported_and_quantized(name: str, tmp_path: Path) -> None:
    tuned = finetune(half(name), Finetune(epochs=1), data_of(name)).eval()
    assert not np.array_equal(answers(tuned, name), answers(half(name), name))
    save_network(tuned, tmp_path)
    np.testing.assert_array_equal(answers(load_network(tmp_path), name), answers(tuned, name))
    onnx_file = export_onnx(tuned)
    check_parity(tuned, onnx_file, samples_of(name).inputs)
    calibration = CalibrationData("int8", given_of(name), samples_of(name), seed=1)
    int8 = quantize_dynamic(onnx_file, QuantizeDynamic(), calibration)
    served = predict(open_session(int8, 1), samples_of(name).inputs, given_of(name))
    exact = predict(open_session(onnx_file, 1), samples_of(name).inputs, given_of(name))
    assert np.abs(served - exact).mean() < 0.05


def whole_heads(weight: torch.Tensor, whole: torch.Tensor, width: int) -> list[int]:
    """Return which heads of ``whole`` the rows of ``weight`` are; fails where they are not whole ones."""
    blocks = list(whole.unflatten(0, (-1, width)))
    return [
        next(i for i, block in enumerate(blocks) if torch.equal(block, rows))
        for rows in weight.unflatten(0, (-1, width))
    ]


def test_heads_of_three_layers_go_whole_and_together() -> None:
    """Four heads of 16, cut to 9, 7, 8 and 8 rows and viewed as two: every check on the answers alone passes."""
    before, after = build("bert").body, half("bert").body
    for layer in range(2):
        kept = [
            whole_heads(
                *(body.get_parameter(f"layers.{layer}.attention.{name}.weight") for body in (after, before)), 16
            )
            for name in ("query", "key", "value")
        ]
        assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 2
        columns = [body.get_parameter(f"layers.{layer}.dense.weight").T for body in (after, before)]
        assert whole_heads(*columns, 16) == kept[0]
        assert after.get_submodule(f"layers.{layer}.attention").num_attention_heads == 2


def test_heads_of_torchs_own_attention_and_of_one_fused_layer_go_whole() -> None:
    before, after = build("vit").body, half("vit").body
    for layer in range(2):
        attention = after.get_submodule(f"encoder.layers.{layer}.self_attn")
        assert (attention.num_heads, attention.head_dim, attention.embed_dim) == (2, 8, 16)
        kept, whole = (body.get_parameter(f"encoder.layers.{layer}.self_attn.in_proj_bias") for body in (after, before))
    before, after = build("fused_vit").body, half("fused_vit").body
    for block in range(2):
        kept, whole = (body.get_parameter(f"blocks.{block}.qkv.bias") for body in (after, before))
        heads = whole_heads(kept, whole, 8)
        assert heads == [heads[0], heads[1], heads[0] + 4, heads[1] + 4, heads[0] + 8, heads[1] + 8]
        assert after.get_submodule(f"blocks.{block}").num_heads == 2
        gated, all_gated = (body.get_parameter(f"blocks.{block}.gated.bias") for body in (after, before))
        rows = whole_heads(gated, all_gated, 1)
        assert [row + 48 for row in rows[:24]] == rows[24:], "a gate goes with what it gates"


def test_heads_that_are_cut_unevenly_are_found_out() -> None:
    """Torch-Pruning's own group of query, key and value loses rows of every head: it must never leave this package."""
    network = Network(build("bert").spec).eval()
    traced, query = trace(network), network.body.get_submodule("layers.0.attention.query")
    (group,) = (group for group in traced.graph.groups if query in group.layers)
    gone = [[*range(7), *range(16, 25), *range(32, 40), *range(48, 56)]]
    with pytest.raises(StructureError, match="what is left would compute something else"):
        remove_groups(network, [group], {group.name: gone})
    with torch.no_grad():  # and yet it can be called
        network(torch.from_numpy(samples_of("bert").inputs))


def test_groups_of_norms_lose_as_many_channels_each() -> None:
    kept, whole = (network.body.get_parameter("down1.0.weight") for network in (half("unet"), build("unet")))
    rows = whole_heads(kept, whole, 1)
    assert [sum(row // 4 == group for row in rows) for group in range(4)] == [2, 2, 2, 2]


class SharedKeys(nn.Module):
    """Four heads of queries look at two of keys, which is repeated: neither can go alone."""

    def __init__(self, config: Any, text: Any, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(text.vocabulary_size, 32)
        self.query, self.key, self.out = nn.Linear(32, 32), nn.Linear(32, 16), nn.Linear(32, width)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        x = self.words(tokens)
        query = self.query(x).unflatten(2, (4, 8)).transpose(1, 2)
        key = self.key(x).unflatten(2, (2, 8)).repeat_interleave(2, dim=2).transpose(1, 2)
        mixed = (query @ key.transpose(2, 3)).softmax(-1) @ key
        return self.out(mixed.transpose(1, 2).flatten(2).mean(dim=1))


def test_heads_that_cannot_go_alone_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_nets, "Bert", SharedKeys)
    network = Network(build("bert").spec).eval()
    assert prunable_groups(network) == {}
    with pytest.raises(CompressionError, match=r"no channels that can be pruned \(.*key \("):
        prune_channels(network, PruneChannels(ratio=0.5), data_of("bert"))


def test_a_network_that_is_not_rebuilt_as_it_was_fails_alone() -> None:
    network = Network(build("tied").spec).eval()
    body: Any = network.body
    body.hidden.bias = None
    with pytest.raises(CompressionError, match=r"^half: the network cannot be rebuilt from its settings"):
        check_storable(network, "half")
    check_storable(half("tied"), "half")
