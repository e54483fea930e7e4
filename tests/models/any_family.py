"""Every model family with the inputs that it takes, small, and samples for them."""

from __future__ import annotations

import numpy as np

from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.model_input import ModelInput
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.tabular.model_input import TabularInput
from thresher.modalities.text.model_input import TextInput
from thresher.models import Model
from thresher.models.cnn import Cnn
from thresher.models.cnn1d.config import Cnn1d
from thresher.models.lenet import LeNet
from thresher.models.linear import Linear
from thresher.models.mlp import Mlp
from thresher.models.recurrent.config import Gru, Lstm
from thresher.models.resnet.config import Resnet
from thresher.models.textcnn.config import TextCnn
from thresher.models.transformer.config import Transformer

IMAGE = ImageInput(channels=3, height=16, width=16, mean=(70.0, 80.0, 90.0), std=(50.0, 60.0, 70.0))
TEXT = TextInput(vocabulary_size=60, max_length=20)
ROW = TabularInput(num_numeric=5, cardinalities=(4, 9))
SERIES = SeriesInput(channels=3, max_length=25, mean=(0.0, 1.0, 2.0), std=(1.0, 2.0, 3.0))

SMALL_TRANSFORMER = Transformer(dimension=16, num_heads=2, feed_forward=32)
FAMILIES: dict[str, tuple[Model, ModelInput]] = {
    "linear image": (Linear(), IMAGE),
    "linear row": (Linear(), ROW),
    "mlp image": (Mlp(hidden=(16,)), IMAGE),
    "mlp row": (Mlp(hidden=(32, 16), dropout=0.2), ROW),
    "lenet": (LeNet(), IMAGE),
    "cnn": (Cnn(channels=(4, 8), hidden=8), IMAGE),
    "resnet": (Resnet(depth=8, width=8), IMAGE),
    "textcnn": (TextCnn(dimension=16, num_filters=8), TEXT),
    "lstm text": (Lstm(dimension=16, hidden=8, num_layers=2), TEXT),
    "gru text": (Gru(dimension=16, hidden=8), TEXT),
    "transformer": (SMALL_TRANSFORMER, TEXT),
    "lstm series": (Lstm(hidden=8, bidirectional=False), SERIES),
    "gru series": (Gru(hidden=8, num_layers=2), SERIES),
    "cnn1d": (Cnn1d(channels=(8, 16)), SERIES),
}
SEQUENCES = [name for name, (_, given) in FAMILIES.items() if None in given.shape]


def draw(given: ModelInput, lengths: list[int], seed: int = 0) -> np.ndarray:
    """Return one sample a length, padded to the longest; other inputs have no length."""
    random = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths))
    padding = np.arange(shape[1]) >= np.array(lengths)[:, None]
    if isinstance(given, TextInput):
        return np.where(padding, 0, random.integers(1, given.vocabulary_size, shape))
    if isinstance(given, SeriesInput):
        series = random.normal(size=(*shape, given.channels))
        series[padding] = np.nan
        return series
    if isinstance(given, TabularInput):
        codes = [random.integers(0, count, len(lengths)) for count in given.cardinalities]
        numbers = random.normal(size=(len(lengths), given.num_numeric))
        return np.column_stack([numbers, *codes]).astype(np.float32)
    return random.integers(0, 256, (len(lengths), *given.longest)).astype(np.uint8)
