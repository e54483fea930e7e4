"""Problems that any network learns at once: which half of an image is bright, and how bright it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.modalities.samples import Samples
from thresher.models.cnn import Cnn
from thresher.models.network import Network, NetworkSpec

IMAGE = ImageInput(channels=1, height=8, width=8, mean=(110.0,), std=(67.0,))


@pytest.fixture(scope="session")
def halves() -> Callable[[int], Samples]:
    """Make so many images with a bright half and some noise, the same ones at every call."""

    def halves(count: int) -> Samples:
        random = np.random.default_rng(0)
        labels = np.arange(count) % 2
        images = random.integers(0, 100, (count, 1, 8, 8))
        images[labels == 0, :, :, :4] += 120
        images[labels == 1, :, :, 4:] += 120
        return Samples(images.astype(np.uint8), labels.astype(np.int64), ("left", "right"))

    return halves


@pytest.fixture(scope="session")
def brightness() -> Callable[[int], Samples]:
    """Make so many grey images whose label is a linear function of their brightness."""

    def brightness(count: int) -> Samples:
        levels = np.random.default_rng(0).integers(0, 256, count)
        images = np.broadcast_to(levels[:, None, None, None], (count, 1, 8, 8)).astype(np.uint8)
        return Samples(images, 1000.0 + 3.0 * levels)

    return brightness


@pytest.fixture
def network() -> Network:
    torch.set_num_threads(1)  # on shared cores, threads of so small a network mostly wait for each other
    torch.manual_seed(0)
    spec = NetworkSpec(model=Cnn(channels=(4,), hidden=8), input=IMAGE, output=ClassOutput(num_classes=2))
    return Network(spec)


@pytest.fixture
def value_network() -> Network:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    output = ValueOutput(mean=1380.0, std=220.0)
    return Network(NetworkSpec(model=Cnn(channels=(4,), hidden=8), input=IMAGE, output=output))
