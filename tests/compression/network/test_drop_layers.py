"""Whole blocks go: by what they change, by what their lack costs, or evenly; and what is left comes back as it was."""

from __future__ import annotations

import copy
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pretrained_networks import NAMES, answers, build, data, samples

from thresher.compression.apply import apply_steps
from thresher.compression.network.block_lists import find_blocks, measure_changes
from thresher.compression.network.drop_layers import DropLayers, drop_layers
from thresher.compression.network.factorize import Factorize
from thresher.compression.network.finetune import Finetune
from thresher.compression.network.prune_channels import PruneChannels
from thresher.compression.network.pruning_groups import prunable_groups
from thresher.errors import CompressionError
from thresher.events import Step, subscribe
from thresher.export import check_parity, export_onnx
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.models.blocks import keep_blocks, rename
from thresher.models.network import Network, NetworkSpec
from thresher.models.pretrained.config import Freeze
from thresher.models.recurrent.config import Lstm
from thresher.models.resnet.config import Resnet
from thresher.models.storage import check_storable, load_network, save_network
from thresher.models.transformer.config import Transformer
from thresher.training.validation import evaluate_network

sys.path.append(str(Path(__file__).parent))
import sequences  # lies beside this file

DEEP = Transformer(dimension=12, num_heads=3, num_layers=5, feed_forward=16)
EVERY = [pytest.param(name, marks=() if name in ("bert", "modernbert") else pytest.mark.slow) for name in NAMES]


def quiet(network: Network, places: list[int]) -> Network:
    """Have these blocks of a transformer add nothing but a little."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        for place in places:
            for name in ("attention_output", "contract"):
                for parameter in network.body.get_submodule(f"blocks.{place}.{name}").parameters():
                    parameter.mul_(1e-4)
    return network


def left(network: Network) -> tuple[int, ...]:
    """Return the places of the blocks that are left, as they were built."""
    ((_, places),) = network.spec.blocks.items()
    return tuple(places)


@pytest.mark.parametrize("by", ["change", "loss", "even"])
@pytest.mark.parametrize("name", EVERY)
def test_one_block_of_every_family_goes_and_what_is_left_is_stored(name: str, by: Any, tmp_path: Path) -> None:
    network = build(name)
    shorter = drop_layers(network, DropLayers(keep=1, by=by), data())
    assert len(find_blocks(network)) == 2 and len(left(shorter)) == 1
    (kept,) = left(shorter)
    (owner,) = shorter.spec.blocks
    theirs = network.body.get_submodule(f"{owner}.{kept}").state_dict()
    torch.testing.assert_close(
        dict(shorter.body.get_submodule(f"{owner}.0").state_dict()), dict(theirs), rtol=0, atol=0
    )
    save_network(shorter, tmp_path)
    rebuilt = load_network(tmp_path)
    np.testing.assert_array_equal(answers(rebuilt), answers(shorter))
    assert not np.array_equal(answers(shorter), answers(network))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_heads_then_blocks_go_and_it_is_trained_and_exported(name: str, tmp_path: Path) -> None:
    steps = (PruneChannels(ratio=0.5), DropLayers(keep=1), Finetune(epochs=1))
    smaller: Network = apply_steps(steps, build(name), data()).eval()
    check_storable(smaller, name)
    save_network(smaller, tmp_path)
    if name in ("bert", "deberta-v2"):  # test_pretrained_heads.py exports every family
        check_parity(smaller, export_onnx(load_network(tmp_path)), samples().inputs)
    again = apply_steps((DropLayers(keep=1), PruneChannels(ratio=0.5)), build(name), data())
    check_storable(again, name)
    assert set(prunable_groups(again)) == set(prunable_groups(smaller))


def test_blocks_that_add_nothing_go_first_and_no_answer_changes() -> None:
    network = quiet(sequences.build(DEEP), [1, 3])
    inputs = sequences.draw_for(DEEP, [7, 3, 1, 20, 5])
    shorter = drop_layers(network, DropLayers(keep=3), sequences.data_for(DEEP))
    assert left(shorter) == (0, 2, 4)
    np.testing.assert_allclose(sequences.answers(shorter, inputs), sequences.answers(network, inputs), atol=1e-3)


@pytest.mark.parametrize(("keep", "places"), [(1, (0,)), (2, (0, 4)), (3, (0, 2, 4)), (4, (0, 1, 3, 4))])
def test_evenly_the_first_and_the_last_stay(keep: int, places: tuple[int, ...]) -> None:
    assert (
        left(drop_layers(sequences.build(DEEP), DropLayers(keep=keep, by="even"), sequences.data_for(DEEP))) == places
    )


def test_loss_is_that_of_the_validation_split_and_the_least_missed_goes() -> None:
    network, given = sequences.build_trained(DEEP), sequences.data_for(DEEP)
    losses = {}
    for place in range(5):
        shorter = copy.deepcopy(network)
        keep_blocks(shorter.body, {"blocks": [each for each in range(5) if each != place]})
        losses[place] = evaluate_network(shorter, given.validation_samples, torch.device("cpu"))[0]
    least = min(losses, key=lambda place: losses[place])
    assert left(drop_layers(network, DropLayers(keep=4, by="loss"), given)) == tuple(sorted({*range(5)} - {least}))


def test_padding_does_not_count_in_what_a_block_changes() -> None:
    network = sequences.build(DEEP)
    short = torch.from_numpy(sequences.draw_for(DEEP, [4, 4]))
    long = torch.nn.functional.pad(short, (0, 9))
    names = [f"blocks.{place}" for place in range(5)]
    one, other = (measure_changes(network, names, [each]) for each in (short, long))
    assert one == pytest.approx(other, rel=1e-5)
    assert all(0 < change < 2 for change in one.values())


def test_what_is_left_is_dropped_from_again_and_widths_and_ranks_go_along(tmp_path: Path) -> None:
    given = sequences.data_for(DEEP)
    steps = (
        PruneChannels(ratio=0.34, ratios={"blocks.4.expand": 0.5}), Factorize(rank_share=0.5, ranks={"blocks.0.*": 0}),
        DropLayers(keep=4, by="even"), DropLayers(keep=2, by="even"), PruneChannels(ratio=0.5),
    )  # fmt: skip
    network: Network = apply_steps(steps, sequences.build(DEEP), given)
    assert left(network) == (0, 4)
    assert {name.split(".")[1] for name in network.spec.ranks} == {"1"}
    save_network(network, tmp_path)
    inputs = sequences.draw_for(DEEP, [3, 9])
    np.testing.assert_array_equal(sequences.answers(load_network(tmp_path), inputs), sequences.answers(network, inputs))


def test_names_are_those_that_torch_gives_what_is_left() -> None:
    kept = {"blocks": (0, 3), "": (1, 2)}
    names = {name: rename(name, {"blocks": kept["blocks"]}) for name in ("blocks.3.expand", "blocks.1.x", "output")}
    assert names == {"blocks.3.expand": "blocks.1.expand", "blocks.1.x": None, "output": "output"}
    assert [rename(name, {"": kept[""]}) for name in ("2", "2.conv1", "0.conv1", "head")] == [
        "1",
        "1.conv1",
        None,
        "head",
    ]


def test_residual_blocks_go_but_for_those_that_change_the_shape(tmp_path: Path) -> None:
    image = ImageInput(channels=3, height=16, width=16, mean=(100.0,) * 3, std=(50.0,) * 3)
    torch.manual_seed(0)
    spec = NetworkSpec(model=Resnet(depth=14, width=4), input=image, output=ClassOutput(num_classes=4))
    network = Network(spec).eval()
    assert [block.can_go for block in find_blocks(network)] == [True, True, False, True, False, True]
    given = dataclasses.replace(data(), training_samples=learnable(image), validation_samples=learnable(image))
    shorter = drop_layers(network, DropLayers(keep=3), given)
    assert len(find_blocks(shorter)) == 3
    with pytest.raises(CompressionError, match=r"keep is 1, and this network has 6 blocks, of which 5, 7 must stay"):
        drop_layers(network, DropLayers(keep=1), given)
    save_network(shorter, tmp_path)
    check_parity(load_network(tmp_path), export_onnx(shorter), given.training_samples.inputs)


def test_a_block_that_something_follows_by_its_place_stays() -> None:
    spec: Any = build("deberta-v2").spec  # a convolution follows the first block, whichever that is
    changed: Any = spec.model.model_copy(
        update={"architecture": {**spec.model.architecture, "conv_kernel_size": 3, "conv_act": "gelu"}}
    )
    network = Network(spec.model_copy(update={"model": changed})).eval()
    assert [block.can_go for block in find_blocks(network)] == [False, True]
    assert left(drop_layers(network, DropLayers(keep=1), data())) == (0,)


def learnable(image: ImageInput) -> Any:
    from learnable import draw_learnable

    return draw_learnable(image, 32, 1)


def test_what_cannot_be_is_told_with_what_is_allowed() -> None:
    with pytest.raises(
        CompressionError, match=r"half: drop_layers\.keep is 2, and this network has 2 blocks\. Allowed: 1"
    ):
        drop_layers(build("bert"), DropLayers(keep=2), data())
    model = Lstm(hidden=4)
    with pytest.raises(CompressionError, match=r"a lstm has no blocks that can go whole\. Use prune_channels"):
        drop_layers(sequences.build(model), DropLayers(keep=1), sequences.data_for(model))


def test_it_is_said_which_stay_and_what_each_changes() -> None:
    said: list[str] = []
    end = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    try:
        drop_layers(sequences.build(DEEP), DropLayers(keep=4), sequences.data_for(DEEP))
    finally:
        end()
    assert said[0].startswith("drop_layers: changes blocks.0 0.") and said[1].startswith("drop_layers keeps 4 of 5 ")


def test_a_frozen_block_stays_frozen_where_one_before_it_is_gone() -> None:
    spec = build("bert").spec
    model = spec.model.model_copy(update={"freeze": Freeze(blocks=1)})
    network = Network(spec.model_copy(update={"model": model}))
    for kept, frozen in ((0, True), (1, False)):
        shorter = Network(network.spec.model_copy(update={"blocks": {"model.bert.encoder.layer": (kept,)}}))
        factors = shorter.rate_factors()
        block = [rate for name, rate in factors.items() if ".encoder.layer.0." in name]
        assert {rate == 0 for rate in block} == {frozen}
