"""Samples whose class every family can learn in a few epochs."""

from __future__ import annotations

import numpy as np
from any_family import draw

from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.model_input import ModelInput
from thresher.modalities.samples import Samples
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text.model_input import TextInput

CLASS_NAMES = tuple("abcd")


def draw_learnable(given: ModelInput, count: int, seed: int) -> Samples[np.ndarray]:
    """Return ``count`` samples of four classes: of all lengths up to 20, where they have any."""
    random = np.random.default_rng(seed)
    labels, lengths = random.integers(0, 4, count), random.integers(1, 21, count)
    inputs = draw(given, [*lengths], seed)
    if isinstance(given, TextInput):  # one word, anywhere, says it
        inputs[(inputs > 0) & (inputs <= 4)] = 5
        inputs[np.arange(count), random.integers(0, lengths)] = labels + 1
    elif isinstance(given, SeriesInput):  # a channel is high, or none is
        inputs[labels < 3, :, labels[labels < 3]] += 9
    elif isinstance(given, TabularInput):  # the sign of a number, and whether a category is one of the last
        inputs[:, 0] = (2 * (labels % 2) - 1) * (1 + abs(inputs[:, 0]))
        inputs[:, -1] = 1 + 4 * (labels // 2) + random.integers(0, 4, count)
    elif isinstance(given, ImageInput):  # a quarter is bright
        half = given.height // 2
        for image, label in zip(inputs, labels, strict=True):
            image[:, half * (label // 2) :, half * (label % 2) :][:, :half, :half] //= 4
            image[:, half * (label // 2) :, half * (label % 2) :][:, :half, :half] += 191
    return Samples(inputs, labels, CLASS_NAMES)
