"""A few raw samples of every modality and task, and the encoder that is fitted on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from thresher import modalities
from thresher.modalities import EncodingChoice
from thresher.modalities.encoder import Encoder
from thresher.modalities.samples import Inputs, Samples
from thresher.modalities.tabular.table import Table

MODALITIES = ("image", "text", "tabular", "series")
TASKS = ("classification", "regression")
CLASS_NAMES = ("low", "middle", "high")
CHANNEL_NAMES = ("current", "vibration")
NUM_SAMPLES = 60
WORDS = ("how", "many", "feet", "in", "a", "mile", "who", "wrote", "the", "first", "book", "where")


def make_samples(modality: str, task: str = "classification", seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    inputs = _MAKE[modality](random)
    named = CHANNEL_NAMES if modality == "series" else ()
    if task == "regression":
        return Samples(inputs, random.normal(200, 50, NUM_SAMPLES), channel_names=named)
    return Samples(inputs, np.arange(NUM_SAMPLES) % 3, CLASS_NAMES, channel_names=named)


def make_encoder(modality: str, task: str = "classification", **encoding: Any) -> Encoder:
    config = EncodingChoice.model_validate({"kind": modality, **encoding}).root
    return modalities.fit_encoder(make_samples(modality, task), config)


def as_json(inputs: Inputs, index: int) -> Any:
    """Return one raw input as a JSON document writes it."""
    if isinstance(inputs, Table):
        row = {name: column[index] for name, column in inputs.columns.items()}
        return {name: None if value is None or value != value else value for name, value in row.items()}
    sample = inputs[index]
    return sample if isinstance(sample, str) else sample.squeeze(0).tolist() if sample.ndim == 3 else sample.tolist()


def _make_images(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, (NUM_SAMPLES, 1, 8, 6), np.uint8)


def _make_texts(random: np.random.Generator) -> np.ndarray:
    texts = [" ".join(random.choice(WORDS, random.integers(1, 12))) for _ in range(NUM_SAMPLES)]
    return np.array(texts, dtype=object)


def _make_rows(random: np.random.Generator) -> Table:
    ages = random.integers(17, 90, NUM_SAMPLES).astype(np.float64)
    ages[5] = np.nan
    jobs = np.array([("clerk", "nurse", "smith", None)[index % 4] for index in range(NUM_SAMPLES)], dtype=object)
    return Table({"age": ages, "job": jobs, "hours": random.normal(40, 5, NUM_SAMPLES)})


def _make_series(random: np.random.Generator) -> np.ndarray:
    series = np.empty(NUM_SAMPLES, dtype=object)
    for index in range(NUM_SAMPLES):
        series[index] = random.normal(size=(random.integers(3, 20), 2))
    return series


_MAKE = {"image": _make_images, "text": _make_texts, "tabular": _make_rows, "series": _make_series}
