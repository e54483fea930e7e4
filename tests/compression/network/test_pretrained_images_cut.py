"""Channels, heads and units of pretrained encoders of images go, and what is left is stored, trained and exported."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.other_process import rebuilt_answers
from helpers.pretrained_images import IMAGE_ENCODERS, SIDE

from thresher.compression.data import CompressionData
from thresher.compression.network.factorize import Factorize, factorize
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.pruning_groups import prunable_groups, refused_groups
from thresher.export import check_parity, export_onnx
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.config import Pretrained
from thresher.models.storage import check_storable, load_network, save_network
from thresher.training import Training
from thresher.training.optimizers import AdamW

PICTURE = ImageInput(channels=3, height=SIDE, width=SIDE, mean=(120.0,) * 3, std=(60.0,) * 3)


@cache
def build(model_type: str) -> Network:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Pretrained(path="anywhere", architecture={"model_type": model_type, **IMAGE_ENCODERS[model_type]})
    return Network(NetworkSpec(model=model, input=PICTURE, output=ClassOutput(num_classes=3))).eval()


@cache
def samples() -> Samples[np.ndarray]:
    pictures = np.random.default_rng(0).integers(0, 256, (24, 3, SIDE, SIDE))
    return Samples(pictures.astype(np.uint8), np.arange(24) % 3, ("a", "b", "c"))


def data() -> CompressionData:
    training = Training(optimizer=AdamW(lr=0.001), epochs=1, batch_size=12)
    return CompressionData("half", PICTURE, samples(), samples(), training)


@cache
def half(model_type: str) -> Network:
    return prune_channels(build(model_type), PruneChannels(ratio=0.5), data())


@torch.no_grad()
def answers(network: Network) -> np.ndarray:
    return np.asarray(network(torch.from_numpy(samples().inputs)))


def size(network: Network) -> int:
    return sum(weight.numel() for weight in network.parameters())


EVERY = [pytest.param(name, marks=() if name == "resnet" else pytest.mark.slow) for name in IMAGE_ENCODERS]


@pytest.mark.parametrize("model_type", EVERY)
def test_half_of_the_channels_go_and_what_is_left_is_trained_stored_and_exported(
    model_type: str, tmp_path: Path
) -> None:
    whole = prunable_groups(build(model_type))
    left = prunable_groups(half(model_type))
    assert left.keys() == whole.keys()
    assert all(
        count // 2 <= left[name] < max(2, count) for name, count in whole.items()
    )  # some stay for multiples of 8
    assert size(half(model_type)) < (0.75 if model_type == "swin" else 0.45) * size(build(model_type))
    tuned = finetune(half(model_type), Finetune(epochs=1), data()).eval()
    save_network(tuned, tmp_path)
    np.testing.assert_array_equal(answers(load_network(tmp_path)), answers(tuned))
    assert check_parity(tuned, export_onnx(tuned), samples().inputs) < 1e-4


@pytest.mark.parametrize("model_type", ["vit", "deit"])
def test_heads_of_an_attention_go_whole(model_type: str) -> None:
    """Four heads of 8; the width of a token stays here, so that what is left of a layer can be found in it."""
    ratios = {f"model.{model_type}.layers.*.attention.v_proj": 0.5}
    cut = prune_channels(build(model_type), PruneChannels(ratio=0.0, ratios=ratios), data())
    for place in range(2):
        kept = set()
        for name in ("q_proj", "k_proj", "v_proj"):
            layer = f"model.{model_type}.layers.{place}.attention.{name}.weight"
            heads, left = (each.body.get_parameter(layer).unflatten(0, (-1, 8)) for each in (build(model_type), cut))
            kept.add(tuple(number for number in range(4) if any(torch.equal(heads[number], one) for one in left)))
            assert len(left) == 2
        assert len(kept) == 1 and len(kept.pop()) == 2


@pytest.mark.parametrize("model_type", ["vit", "mobilenet_v2"])
def test_layers_whose_strides_or_types_the_network_reads_are_made_two(model_type: str) -> None:
    split = factorize(build(model_type), Factorize(), data())
    assert split.spec.ranks and size(split) < size(build(model_type))
    check_storable(split, "half")


@pytest.mark.slow
def test_a_swins_heads_stay() -> None:
    groups, refused = prunable_groups(build("swin")), refused_groups(build("swin"))
    assert groups and not any("attention" in name for name in groups)
    assert all("mlp.fc2" in name and "neither single channels" in why for name, why in refused.items())


@pytest.mark.slow
def test_another_process_rebuilds_them_bit_for_bit(tmp_path: Path) -> None:
    rebuilt = rebuilt_answers({name: (half(name), samples().inputs) for name in IMAGE_ENCODERS}, tmp_path)
    for name in IMAGE_ENCODERS:
        np.testing.assert_array_equal(rebuilt[name], answers(half(name)))
