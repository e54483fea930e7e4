"""A checkpoint that is trained further begins with the file's weights, below a head that is the file's or drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_safetensors
from torch import nn

from thresher.errors import DataError
from thresher.events import Event, Notice, subscribe
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import AnyOutput, ClassOutput, ValueOutput
from thresher.models.imported.architecture import check_checkpoint, layers_of, match_layers
from thresher.models.imported.config import Checkpoint, ModelFile
from thresher.models.network import Network, NetworkSpec
from thresher.models.start import build_start

FIELDS = {"architecture": "cnn", "channels": [4, 8], "hidden": 6, "path": "w", "train": True}
IMAGE = ImageInput(channels=1, height=8, width=8, mean=(0.0,), std=(255.0,))
HEAD = {"fc2.weight", "fc2.bias"}


@pytest.fixture
def said() -> Iterator[list[str]]:
    notices: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.text)

    end = subscribe(note)
    yield notices
    end()


def theirs(classes: int = 7) -> dict[str, torch.Tensor]:
    """Return the weights that somebody trained for so many classes."""
    config = Checkpoint.model_validate(FIELDS)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = Network(NetworkSpec(model=config.network, input=IMAGE, output=ClassOutput(num_classes=classes)))
    return {name: weight.contiguous() for name, weight in network.body.state_dict().items()}


def begin(
    weights: dict[str, torch.Tensor], output: AnyOutput | None = None, seed: int = 1, **fields: Any
) -> dict[str, torch.Tensor]:
    """Return the weights that a training begins with, after the recipe's check of the file."""
    config = Checkpoint.model_validate({**FIELDS, **fields})
    file = ModelFile("w", save_safetensors(weights))
    output = output or ClassOutput(num_classes=7)
    task = "regression" if isinstance(output, ValueOutput) else "classification"
    check_checkpoint(file, config, "image", task)
    network = build_start(config, IMAGE, output, seed, file, tells=True)
    assert network.spec.model == config.network and network.training
    return dict(network.body.state_dict())


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> set[str]:
    """Return the names of the float tensors that are the same in both."""
    return {
        name
        for name, weight in one.items()
        if name in two and weight.is_floating_point() and weight.shape == two[name].shape and weight.equal(two[name])
    }


@pytest.mark.parametrize(
    ("classes", "fields", "keeps"),
    [(7, {}, True), (7, {"head": "fresh"}, False), (3, {}, False), (3, {"head": "fresh"}, False)],
    ids=["same_width", "asked_for", "other_width", "both"],
)
def test_all_but_a_fresh_head_is_the_file_s(said: list[str], classes: int, fields: dict[str, Any], keeps: bool) -> None:
    weights = theirs()
    begun = begin(weights, ClassOutput(num_classes=classes), **fields)
    assert begun["fc2.weight"].shape == (classes, 6)
    floats = {name for name, weight in weights.items() if weight.is_floating_point()}
    assert floats - equal(begun, weights) == (set() if keeps else HEAD)
    assert said == [f"w: weights of cnn; {'its own head' if keeps else f'a fresh head of {classes} outputs'}"]


def test_a_fresh_head_is_drawn_by_the_seed() -> None:
    drawn = [begin(theirs(), seed=seed, head="fresh")["fc2.weight"] for seed in (1, 1, 2)]
    assert drawn[0].equal(drawn[1]) and not drawn[0].equal(drawn[2])


def test_a_file_without_a_head_and_one_with_another_are_taken() -> None:
    weights = theirs()
    without = {name: weight for name, weight in weights.items() if name not in HEAD}
    assert equal(begin(without), weights) == equal(without, weights)
    renamed = {f"module.{name.replace('fc2', 'classifier')}": weight for name, weight in weights.items()}
    assert equal(begin(renamed), weights) == equal(weights, weights)
    larger = {**without, "top.0.weight": torch.ones(9, 6), "top.2.weight": torch.ones(3, 9)}
    with pytest.raises(DataError, match=r"the file alone has: top.0.weight \[9, 6\], top.2.weight \[3, 9\]"):
        begin(larger)
    assert equal(begin(larger, names={"top.*": None}), weights) == equal(without, weights)


def test_what_lies_below_the_head_must_fit() -> None:
    weights = theirs()
    with pytest.raises(DataError, match=r"of another shape: fc1.bias has \[6\], wanted is \[5\]") as caught:
        begin(weights, hidden=5)
    assert "fc2" not in str(caught.value)
    without = {name: weight for name, weight in weights.items() if name != "conv2.weight"}
    with pytest.raises(DataError, match=r"the architecture alone has: conv2.weight \[8, 4, 3, 3\]"):
        begin(without)


def test_a_checkpoint_that_is_not_trained_is_told_how_to_take_other_classes() -> None:
    config = Checkpoint.model_validate({**FIELDS, "train": False})
    network = build_start(config, IMAGE, ClassOutput(num_classes=3), 1)
    shapes = {name: tuple(weight.shape) for name, weight in theirs().items()}
    with pytest.raises(DataError, match=r"fc2.bias has \[7\], wanted is \[3\].* Fix: train: true, which draws a head"):
        match_layers(shapes, layers_of(network), config, False, "w")
    with pytest.raises(DataError, match=r"fc1.bias has \[9\].* Fix: give model the fields it was trained with"):
        match_layers({**shapes, "fc1.bias": (9,)}, layers_of(network), config, False, "w")


@pytest.mark.parametrize(("standardized", "keeps"), [(False, False), (True, True)])
def test_a_regression_keeps_a_head_that_answers_as_it_is_trained(standardized: bool, keeps: bool) -> None:
    weights = theirs(classes=1)
    begun = begin(weights, ValueOutput(mean=3.0, std=2.0), standardized=standardized)
    assert (equal(begun, weights) >= HEAD) == keeps


def test_files_of_torch_save_and_means_are_read_as_without_training() -> None:
    written = io.BytesIO()
    torch.save({"state_dict": {f"module.{name}": weight for name, weight in theirs().items()}}, written)
    config = Checkpoint.model_validate({**FIELDS, "mean": [127], "std": [128], "scale": 1})
    network = build_start(config, IMAGE, ClassOutput(num_classes=2), 1, ModelFile("w", written.getvalue()))
    assert network.spec.input.mean == (127.0,) and network.spec.input.std == (128.0,)  # type: ignore[union-attr]


def test_a_head_that_cannot_be_found_is_told_when_the_recipe_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(config: Any, image: ImageInput, width: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(image.channels, width, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    monkeypatch.setattr("thresher.models.cnn.build_cnn", build)
    weights = dict(build(None, IMAGE, 7).state_dict())
    with pytest.raises(DataError, match=r"w: no nn.Linear makes the outputs of cnn.* Fix: .*output_layer"):
        begin(weights, head="fresh")
    assert equal(begin(weights), weights) == set(weights)


def test_a_fresh_head_needs_a_training() -> None:
    with pytest.raises(ValueError, match=r"answers nothing before it is trained; add train: true"):
        Checkpoint.model_validate({**FIELDS, "train": False, "head": "fresh"})
