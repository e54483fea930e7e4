"""A network normalizes inside its graph, and comes back from disk as it was."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from thresher.compression.data import CompressionData
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.errors import DataError
from thresher.models import Model
from thresher.models.cnn import Cnn
from thresher.models.lenet import LeNet
from thresher.models.network import Network
from thresher.models.storage import load_network, save_network

Build = Callable[..., Network]
WEIGHTS, SPEC = "weights.safetensors", "network.json"


@pytest.fixture
def saved(build: Build, tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "folder"
    save_network(build(Cnn(channels=(4, 6), hidden=5), (1, 8, 8)), folder)
    return folder


def test_images_are_normalized_inside_the_network(build: Build) -> None:
    image = torch.tensor([0, 100, 150, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    (normalized,) = build(Cnn(channels=(2,)), (1, 2, 2)).prepare(image)
    torch.testing.assert_close(normalized.flatten(), torch.tensor([-2.0, 0.0, 1.0, 3.1]))


@pytest.mark.parametrize(("model", "shape", "name"), [(LeNet(), (1, 28, 28), "fc3"), (Cnn(), (3, 16, 16), "fc2")])
def test_the_output_layer_is_the_last_one(model: Model, shape: tuple[int, int, int], name: str, build: Build) -> None:
    network = build(model, shape)
    assert network.output_layer() is network.body.get_submodule(name)


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize(("model", "shape"), [(LeNet(), (1, 28, 28)), (Cnn(channels=(4, 6)), (3, 9, 16))])
def test_a_network_comes_back_as_it_was_saved(
    model: Model, shape: tuple[int, int, int], pruned: bool, build: Build, random_images: Callable, tmp_path: Path,
    compression_data: CompressionData,
) -> None:  # fmt: skip
    network = build(model, shape)
    if pruned:
        network = prune_channels(network, PruneChannels(ratio=0.5), compression_data)
    save_network(network, tmp_path)
    loaded = load_network(tmp_path)
    assert loaded.spec == network.spec
    assert not loaded.training
    image = random_images(3, *shape)
    assert torch.equal(loaded(image), network(image))


def test_only_safetensors_and_json_are_written(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {WEIGHTS, SPEC}
    assert load_file(saved / WEIGHTS).keys() >= {"prepare.mean", "prepare.scale", "body.conv1.weight"}
    assert json.loads((saved / SPEC).read_text())["input"]["height"] == 8


def cut_weights(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-10])


def pickle_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(load_file(folder / WEIGHTS)))


def drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["body.fc2.bias"]
    save_file(weights, folder / WEIGHTS)


def cut_spec(folder: Path) -> None:
    (folder / SPEC).write_text((folder / SPEC).read_text()[:-10])


def change_spec(folder: Path, **changes: object) -> None:
    spec = json.loads((folder / SPEC).read_text())
    (folder / SPEC).write_text(json.dumps({**spec, **changes}))


@pytest.mark.parametrize(
    "damage",
    [
        cut_weights,
        pickle_weights,
        drop_a_weight,
        cut_spec,
        lambda folder: (folder / WEIGHTS).unlink(),
        lambda folder: (folder / SPEC).unlink(),
        lambda folder: change_spec(folder, output={"kind": "classification", "num_classes": 9}),
        lambda folder: change_spec(folder, output={"kind": "classification", "num_classes": -1}),
        lambda folder: change_spec(folder, model={"kind": "resnet"}),
        lambda folder: change_spec(folder, model={"kind": "textcnn"}),
        lambda folder: change_spec(folder, input={"kind": "tabular", "num_numeric": 3, "cardinalities": []}),
        lambda folder: change_spec(folder, unknown=1),
        lambda folder: change_spec(folder, channel_plan={"conv9": {"in_channels": 1}}),
        lambda folder: change_spec(folder, channel_plan={"conv1": {"out_channels": -3}}),
        lambda folder: change_spec(folder, channel_plan={"conv1": {"groups": 0}}),
        lambda folder: change_spec(folder, channel_plan={"relu1": {"in_channels": 3}}),
    ],
)
def test_damaged_files_are_told_as_data_that_can_be_mended(damage: Callable[[Path], None], saved: Path) -> None:
    damage(saved)
    with pytest.raises(DataError, match=r"(?s)not a readable network .* Delete the folder and run again") as caught:
        load_network(saved)
    assert str(saved) in str(caught.value)
