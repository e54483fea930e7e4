"""The small convolutional network fits images of any shape that its poolings leave something of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from thresher.errors import ThresherError
from thresher.modalities.image.model_input import ImageInput
from thresher.models.cnn import Cnn, build_cnn
from thresher.models.network import Network

Build = Callable[..., Network]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 5, 17), (1, 4, 4)])
@pytest.mark.parametrize("channels", [(4,), (4, 6)])
def test_images_of_any_shape_give_one_logit_a_class(
    shape: tuple[int, int, int], channels: tuple[int, ...], build: Build, random_images: Callable
) -> None:
    network = build(Cnn(channels=channels, hidden=5), shape, num_classes=3)
    assert network(random_images(2, *shape)).shape == (2, 3)


def test_each_convolution_has_its_width_and_a_batch_norm(build: Build) -> None:
    body = build(Cnn(channels=(4, 6), hidden=5), (3, 8, 8)).body
    shapes = {name: tuple(weight.shape) for name, weight in body.named_parameters()}
    assert shapes == {
        "conv1.weight": (4, 3, 3, 3), "norm1.weight": (4,), "norm1.bias": (4,),
        "conv2.weight": (6, 4, 3, 3), "norm2.weight": (6,), "norm2.bias": (6,),
        "fc1.weight": (5, 6 * 2 * 2), "fc1.bias": (5,), "fc2.weight": (10, 5), "fc2.bias": (10,),
    }  # fmt: skip


@pytest.mark.parametrize(("side", "at_most"), [(8, 3), (9, 3), (7, 2), (2, 1)])
def test_more_poolings_than_the_image_has_pixels_are_refused_with_the_most(side: int, at_most: int) -> None:
    image = ImageInput(channels=1, height=side, width=64, mean=(0.0,), std=(1.0,))
    build_cnn(Cnn(channels=(2,) * at_most), image, 10)
    with pytest.raises(ThresherError, match=f"leave nothing of a {side}x64 image; give at most {at_most} channels"):
        build_cnn(Cnn(channels=(2,) * (at_most + 1)), image, 10)
