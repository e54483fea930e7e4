"""Real digits, a small network trained on them and its ONNX file; each is made when a test first asks for it."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

# Torch's threads wait by spinning, and here two workers share the cores. Read when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# A shell that starts something in the background lets it ignore SIGINT, and all that it starts: what a test interrupts
# would go on.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    from thresher.compression.data import CalibrationData, CompressionData
    from thresher.events import Event
    from thresher.modalities.image.model_input import ImageInput
    from thresher.modalities.samples import Samples
    from thresher.models.network import Network


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_not_collected() -> None:
    """A full collection takes seconds where a process has all libraries: it leaves out what was there before."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _module_draws_the_same() -> None:
    _seed_torch()


@pytest.fixture(autouse=True)
def _test_draws_the_same() -> None:
    """A network that a test draws without a seed is the same every time, whatever ran before it."""
    _seed_torch()


def _seed_torch() -> None:
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@dataclass(frozen=True)
class Digits:
    training: Samples
    validation: Samples
    test: Samples


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def digits() -> Digits:
    from sklearn.datasets import load_digits

    from thresher.modalities.samples import Samples
    from thresher.modalities.split import mark_stratified

    images, labels = load_digits(return_X_y=True)
    pixels = (images * 255 / 16).round().astype(np.uint8).reshape(-1, 1, 8, 8)
    samples = Samples(pixels, labels.astype(np.int64), tuple("0123456789"))
    test = mark_stratified(samples.labels, 0.3, seed=1)
    rest = samples.take(~test)
    validation = mark_stratified(rest.labels, 0.2, seed=1)
    return Digits(rest.take(~validation), rest.take(validation), samples.take(test))


@pytest.fixture(scope="session")
def grey() -> ImageInput:
    """What the encoder of the digits makes."""
    from thresher.modalities.image.model_input import ImageInput

    return ImageInput(channels=1, height=8, width=8, mean=(78.0,), std=(96.0,))


@pytest.fixture(scope="session")
def trained(digits: Digits, grey: ImageInput) -> Network:
    import torch

    from thresher.modalities.outputs import ClassOutput
    from thresher.models.cnn import Cnn
    from thresher.models.network import Network, NetworkSpec
    from thresher.training import Training
    from thresher.training.loop import train
    from thresher.training.optimizers import Adam

    torch.set_num_threads(1)  # on shared cores, threads of so small a network mostly wait for each other
    torch.manual_seed(1)
    model = Cnn(channels=(16, 32), hidden=32)
    network = Network(NetworkSpec(model=model, input=grey, output=ClassOutput(num_classes=10)))
    config = Training(optimizer=Adam(lr=0.005), epochs=5, batch_size=64)
    return train(network, digits.training, digits.validation, config, "float")[0]


@pytest.fixture(scope="session")
def float_onnx(trained: Network) -> bytes:
    from thresher.export import export_onnx

    return export_onnx(trained)


@pytest.fixture(scope="session")
def compression_data(digits: Digits, grey: ImageInput) -> CompressionData:
    from thresher.compression.data import CompressionData
    from thresher.training import Training
    from thresher.training.optimizers import Adam

    training = Training(optimizer=Adam(lr=0.002), epochs=1, batch_size=64)
    return CompressionData("candidate", grey, digits.training, digits.validation, training)


@pytest.fixture(scope="session")
def calibration_data(compression_data: CompressionData) -> CalibrationData:
    from thresher.compression.data import CalibrationData

    return CalibrationData("candidate", compression_data.input, compression_data.training_samples, seed=1)


@pytest.fixture
def own_mlflow() -> Iterator[None]:
    """An MLflow that knows of no store: it keeps the last one's address in the process and in the environment."""
    import mlflow

    from thresher.tracking.run_context import EXPERIMENT_ID, RUN_ID, TRACKING_URI

    before = dict(os.environ)
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # it is how MLflow forgets
    for name in (RUN_ID, EXPERIMENT_ID, TRACKING_URI):
        os.environ.pop(name, None)
    yield
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def events() -> Iterator[list[Event]]:
    from thresher.events import subscribe

    seen: list[Event] = []
    end = subscribe(seen.append)
    yield seen
    end()
