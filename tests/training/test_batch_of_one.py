"""No batch, and no part of one, has a single sample where it can be helped; else a sentence says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from thresher.compression.data import CompressionData
from thresher.compression.network.finetune import Finetune, finetune
from thresher.compression.network.quantize_aware import QuantizeAware, quantize_aware
from thresher.errors import TrainingError
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.models import ModelChoice
from thresher.models.network import Network, NetworkSpec
from thresher.training import Training
from thresher.training.autotune import choose_execution
from thresher.training.batches import Order, sizes_of_parts
from thresher.training.execution import default_execution
from thresher.training.loop import train
from thresher.training.range_test import find_learning_rate

TINY = ImageInput(channels=1, height=2, width=2, mean=(110.0,), std=(67.0,))
RESNET = {"kind": "resnet", "depth": 8, "width": 4}


def samples(count: int) -> EncodedSamples:
    labels = np.arange(count, dtype=np.int64) % 2
    images = np.random.default_rng(0).integers(0, 100, (count, 1, 2, 2)) + 120 * labels[:, None, None, None]
    return Samples(images.astype(np.uint8), labels, ("dark", "bright"))


def training(**settings: Any) -> Training:
    return Training.model_validate({"epochs": 1, "batch_size": 16, **settings})


@pytest.fixture
def network() -> Network:
    """A network whose last batch norms see one position a sample."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = ModelChoice.model_validate(RESNET).root
    return Network(NetworkSpec(model=model, input=TINY, output=ClassOutput(num_classes=2)))


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [
        (33, 16, [16, 17]), (32, 16, [16, 16]), (34, 16, [16, 16, 2]), (17, 16, [17]), (16, 16, [16]), (1, 16, [1]),
        (3, 2, [3]), (5, 2, [2, 3]), (3, 1, [1, 1, 1]), (2, 1, [1, 1]), (15, 16, [15]),
    ],
)  # fmt: skip
def test_a_last_part_of_one_joins_the_one_before(count: int, size: int, sizes: list[int]) -> None:
    assert sizes_of_parts(count, size) == sizes


@pytest.mark.parametrize("count", [31, 32, 33, 34, 65])
@pytest.mark.parametrize("size", [2, 3, 16, 32, "full"])
def test_each_epoch_takes_each_sample_once(count: int, size: int | str) -> None:
    order = Order(count, size, epochs=3, seed=1)
    for epoch in (1, 2):
        batches = order.of_epoch(epoch)
        taken = [place for batch in batches for place in torch.arange(count)[batch].tolist()]
        assert sorted(taken) == list(range(count))
        assert len(batches) == order.steps_an_epoch
        assert all(len(torch.arange(count)[batch]) > 1 for batch in batches)
    assert order.total_steps == 3 * order.steps_an_epoch


@pytest.mark.oddity(
    "Compression and training", "a last batch of one sample, and a batch norm", "The sample joins the batch before"
)
@pytest.mark.parametrize(("count", "settings"), [
    (33, {}), (17, {}), (33, {"accumulation": 2}), (33, {"accumulation": 5}),
    (37, {"batch_size": 4, "accumulation": 2}),
    (33, {"optimizer": {"kind": "lbfgs"}}), (33, {"ema": 0.9, "activation_checkpointing": True}),
])  # fmt: skip
def test_any_number_of_samples_trains(count: int, settings: dict[str, Any], network: Network) -> None:
    _, history = train(network, samples(count), samples(4), training(**settings), "float")
    assert len(history.epochs) == 1


def test_so_does_all_that_trains_on(network: Network) -> None:
    data = CompressionData("aware", TINY, samples(33), samples(4), training(), teachers={"float": network})
    tuned = finetune(network, Finetune.model_validate({"epochs": 1, "distill": {}}), data)
    quantize_aware(tuned, QuantizeAware(epochs=1), data)


def test_so_does_all_that_tries_first(network: Network) -> None:
    config = training()
    rates = find_learning_rate(network, samples(33), config, default_execution(config.execution, network))
    assert len(rates.losses) > 20
    assert choose_execution(network, samples(33), config).trials


@pytest.mark.oddity(
    "Compression and training",
    "batches of one sample, and a batch norm that sees one position",
    "Refused with the cure",
)
@pytest.mark.parametrize(
    ("count", "settings"), [(8, {"batch_size": 1}), (32, {"batch_size": 8, "accumulation": 8}), (1, {})]
)
def test_one_number_a_channel_is_refused_in_a_sentence(count: int, settings: dict[str, Any], network: Network) -> None:
    for learn in (
        lambda config: train(network, samples(count), samples(4), config, "float"),
        lambda config: find_learning_rate(
            network, samples(count), config, default_execution(config.execution, network)
        ),
    ):
        with pytest.raises(TrainingError, match=r"cannot learn from 1 sample at a time.*training\.batch_size of 2"):
            learn(training(**settings))


def test_one_sample_with_many_positions_is_enough() -> None:
    torch.manual_seed(0)
    image = ImageInput(channels=1, height=16, width=16, mean=(110.0,), std=(67.0,))
    spec = NetworkSpec(model=ModelChoice.model_validate(RESNET).root, input=image, output=ClassOutput(num_classes=2))
    few = Samples(np.zeros((3, 1, 16, 16), np.uint8), np.arange(3, dtype=np.int64) % 2, ("a", "b"))
    train(Network(spec), few, few, training(batch_size=1), "float")
