"""LeNet-5 has the layers of the paper."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from thresher.errors import ThresherError
from thresher.modalities.image.model_input import ImageInput
from thresher.models.lenet import LeNet, build_lenet
from thresher.models.network import Network

Build = Callable[..., Network]


def test_layers_and_parameters_are_those_of_the_paper(build: Build) -> None:
    body = build(LeNet()).body
    shapes = {name: tuple(weight.shape) for name, weight in body.named_parameters() if weight.ndim > 1}
    assert shapes == {
        "conv1.weight": (6, 1, 5, 5),
        "conv2.weight": (16, 6, 5, 5),
        "fc1.weight": (120, 400),
        "fc2.weight": (84, 120),
        "fc3.weight": (10, 84),
    }
    assert sum(weight.numel() for weight in body.parameters()) == 61_706


def test_feature_maps_shrink_as_in_the_paper(build: Build) -> None:
    x, shapes = torch.zeros(1, 1, 28, 28), []
    for layer in build(LeNet()).body:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]


def test_its_padding_is_the_padding_of_the_image_to_32x32(build: Build, random_images: Callable) -> None:
    padded_by_layer, image = build(LeNet()), random_images(4, 1, 28, 28)
    takes_32x32 = build(LeNet(), (1, 32, 32))
    takes_32x32.load_state_dict(padded_by_layer.state_dict())
    with torch.inference_mode():
        (normalized,) = padded_by_layer.prepare(image)
        padded_image = F.pad(normalized, (2, 2, 2, 2))
        torch.testing.assert_close(takes_32x32.body(padded_image), padded_by_layer(image))


@pytest.mark.parametrize("side", [8, 27, 28, 31, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_square_images_of_any_size_give_one_logit_a_class(
    side: int, channels: int, build: Build, random_images: Callable
) -> None:
    network = build(LeNet(), (channels, side, side), num_classes=7)
    assert network(random_images(2, channels, side, side)).shape == (2, 7)


def test_images_that_are_not_square_are_refused() -> None:
    image = ImageInput(channels=1, height=28, width=30, mean=(0.0,), std=(1.0,))
    with pytest.raises(ThresherError, match="takes square images, got 28x30; use the model cnn"):
        build_lenet(LeNet(), image, 10)
