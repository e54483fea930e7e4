"""A problem that any network learns at once: is the left or the right half of an image bright?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from thresher.modalities.inputs import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import Samples
from thresher.models.cnn import Cnn
from thresher.models.network import Network, NetworkSpec


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


@pytest.fixture
def network() -> Network:
    torch.set_num_threads(1)  # on shared cores, threads of so small a network mostly wait for each other
    torch.manual_seed(0)
    image = ImageInput(channels=1, height=8, width=8, mean=(110.0,), std=(67.0,))
    spec = NetworkSpec(model=Cnn(channels=(4,), hidden=8), input=image, output=ClassOutput(num_classes=2))
    return Network(spec)
