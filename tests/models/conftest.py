"""Untrained networks of any architecture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.models import Model
from thresher.models.network import Network, NetworkSpec

Build = Callable[..., Network]


@pytest.fixture(scope="session")
def build() -> Build:
    """Build a network with weights by seed, in evaluation mode."""

    def build(model: Model, input_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 10) -> Network:
        torch.manual_seed(0)
        channels = input_shape[0]
        _, height, width = input_shape
        image = ImageInput(
            channels=channels, height=height, width=width, mean=(100.0,) * channels, std=(50.0,) * channels
        )
        spec = NetworkSpec(model=model, input=image, output=ClassOutput(num_classes=num_classes))
        return Network(spec).eval()

    return build


@pytest.fixture(scope="session")
def random_images() -> Callable[..., torch.Tensor]:
    def random_images(*shape: int) -> torch.Tensor:
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    return random_images
