"""Small networks over texts and series, and samples for them."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch

from thresher.compression.data import CompressionData
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.text.model_input import TextInput
from thresher.models.network import Network, NetworkSpec
from thresher.models.recurrent.config import Gru, Lstm
from thresher.models.transformer.config import Transformer
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.optimizers import Adam

sys.path.append(str(Path(__file__).parents[2] / "models"))
from any_family import SERIES, TEXT, draw  # lies beside the models' own tests
from learnable import draw_learnable

Sequential = Gru | Lstm | Transformer
TRAINING = Training(optimizer=Adam(lr=0.005), epochs=5, batch_size=32)


def input_of(model: Sequential) -> TextInput | SeriesInput:
    """Texts for all but GRUs."""
    return SERIES if isinstance(model, Gru) else TEXT


def build(model: Sequential, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    spec = NetworkSpec(model=model, input=input_of(model), output=ClassOutput(num_classes=4))
    return Network(spec).eval()


def data_for(model: Sequential) -> CompressionData:
    return _data(input_of(model))


@cache
def _data(given: TextInput | SeriesInput) -> CompressionData:
    samples = [draw_learnable(given, count, seed) for count, seed in ((400, 1), (200, 2))]
    return CompressionData("candidate", given, *samples, TRAINING)


def build_trained(model: Sequential) -> Network:
    """Return a network that has learned its four classes."""
    data = data_for(model)
    return train(build(model), data.training_samples, data.validation_samples, TRAINING, "float")[0].eval()


def draw_for(model: Sequential, lengths: list[int], seed: int = 0) -> np.ndarray:
    return draw(input_of(model), lengths, seed)


@torch.no_grad()
def answers(network: Network, samples: np.ndarray) -> np.ndarray:
    return network.predict(torch.from_numpy(samples)).numpy()


def num_weights(network: Network) -> int:
    """Return the parameters of all layers but the embeddings, biases and all."""
    tables = {id(table.weight) for table in network.embeddings()}
    return sum(weight.numel() for weight in network.body.parameters() if id(weight) not in tables)
