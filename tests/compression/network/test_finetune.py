"""Finetuning wins back accuracy, alone or with a teacher, and stops where the loss is not a number."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from thresher.compression.data import CompressionData
from thresher.compression.network.finetune import Finetune, finetune, teacher_names
from thresher.compression.network.prune_channels import PruneChannels, prune_channels
from thresher.compression.network.prune_weights import PruneWeights, prune_weights
from thresher.config import Config
from thresher.errors import TrainingError
from thresher.events import Event, TrainingEpoch, TrainingStep
from thresher.models.network import Network
from thresher.training.optimizers import Sgd
from thresher.training.validation import evaluate_network


def weights_of(network: Network) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.body.parameters() if weight.ndim > 1])


def loss_of(network: Network, data: CompressionData) -> float:
    return evaluate_network(network, data.validation_samples, torch.device("cpu"))[0]


@pytest.fixture(scope="module")
def taught(trained: Network, compression_data: CompressionData) -> CompressionData:
    return dataclasses.replace(compression_data, teachers={"float": trained})


def test_finetuning_keeps_the_zeros_and_wins_back_accuracy(trained: Network, compression_data: CompressionData) -> None:
    sparse = prune_weights(trained, PruneWeights(sparsity=0.8), compression_data)
    tuned = finetune(sparse, Finetune(epochs=2), compression_data)
    assert torch.equal(weights_of(tuned) == 0, weights_of(sparse) == 0)
    assert loss_of(tuned, compression_data) < loss_of(sparse, compression_data)


def test_finetuning_is_named_after_its_candidate_and_takes_its_own_epochs(
    trained: Network, compression_data: CompressionData, events: list[Event]
) -> None:
    finetune(trained, Finetune(epochs=2), compression_data)
    epochs = [(event.training, event.epoch) for event in events if isinstance(event, TrainingEpoch)]
    assert epochs == [("candidate", 1), ("candidate", 2)]


def test_finetuning_takes_its_own_learning_rate_and_else_the_trainings(
    trained: Network, compression_data: CompressionData
) -> None:
    def moved(lr: float | None) -> float:
        tuned = finetune(trained, Finetune(epochs=1, lr=lr), compression_data)
        return float((weights_of(tuned) - weights_of(trained)).abs().max())

    assert moved(None) == moved(compression_data.training.optimizer.lr)
    assert moved(1e-6) < 0.01 * moved(None)


def test_finetuning_takes_its_own_schedule_and_else_the_trainings(
    trained: Network, compression_data: CompressionData, events: list[Event]
) -> None:
    def rates(schedule: dict[str, Any] | None) -> list[float]:
        events.clear()
        finetune(trained, Finetune.model_validate({"epochs": 1, "schedule": schedule}), compression_data)
        return [event.learning_rate for event in events if isinstance(event, TrainingStep)]

    lr = compression_data.training.optimizer.lr
    assert rates(None)[-1] == rates({"kind": "constant"})[-1] == lr
    assert rates({"kind": "cosine"})[-1] < 0.1 * lr


def test_a_teacher_brings_the_student_nearer_to_its_answers(half: Network, taught: CompressionData) -> None:
    teacher = taught.teachers["float"]
    inputs = torch.from_numpy(taught.validation_samples.inputs)

    def apart(distill: dict[str, Any] | None) -> float:
        student = finetune(half, Finetune.model_validate({"epochs": 3, "distill": distill}), taught)
        with torch.no_grad():
            pair = [network(inputs).log_softmax(dim=1) for network in (student, teacher)]
        return float(torch.nn.functional.kl_div(*pair, reduction="batchmean", log_target=True))

    alone = apart(None)
    assert apart({"weight": 1.0}) < 0.8 * alone
    assert apart({"weight": 1.0, "features": 10.0}) < 0.8 * alone


def test_the_same_distillation_gives_the_same_bits(half: Network, taught: CompressionData) -> None:
    config = Finetune.model_validate({"epochs": 1, "distill": {"features": 1.0}})
    one, other = finetune(half, config, taught), finetune(half, config, taught)
    assert torch.equal(weights_of(one), weights_of(other))
    assert not any(
        layer._forward_hooks for network in (half, one, taught.teachers["float"]) for layer in network.modules()
    )


def test_a_teacher_may_be_any_candidate_also_between_iterations(
    trained: Network, half: Network, compression_data: CompressionData
) -> None:
    data = dataclasses.replace(compression_data, teachers={"half": half})
    step = PruneWeights.model_validate(
        {"sparsity": 0.5, "iterations": 2, "between": {"epochs": 1, "distill": {"from": "half"}}}
    )
    assert torch.count_nonzero(weights_of(prune_weights(trained, step, data))) > 0


@pytest.mark.parametrize(("step", "names"), [
    (Finetune(), ()),
    (Finetune.model_validate({"distill": {}}), ("float",)),
    (Finetune.model_validate({"distill": {"from": "half"}}), ("half",)),
    (PruneWeights(sparsity=0.5), ()),
    (PruneWeights.model_validate({"sparsity": 0.5, "iterations": 2, "between": {"distill": {"from": "a"}}}), ("a",)),
    (PruneChannels.model_validate({"ratio": 0.5, "iterations": 2, "between": {"distill": {}}}), ("float",)),
])  # fmt: skip
def test_the_teachers_of_a_step_are_known_by_name(step: Config, names: tuple[str, ...]) -> None:
    assert teacher_names(step) == names


@pytest.mark.parametrize("distill", [None, {}])
def test_a_finetuning_that_diverges_says_where_and_what_to_do(
    distill: dict[str, Any] | None, trained: Network, taught: CompressionData
) -> None:
    sgd = Sgd(lr=0.01, weight_decay=0.5)  # at a rate of 10, weights are four times as large after each step
    data = dataclasses.replace(taught, training=taught.training.model_copy(update={"optimizer": sgd}))
    config = Finetune.model_validate({"epochs": 20, "lr": 10, "distill": distill})
    text = r"^candidate: the (validation )?loss is (nan|inf) .*step \d+.*or lr of the step that trains"
    with pytest.raises(TrainingError, match=text):
        finetune(prune_channels(trained, PruneChannels(ratio=0.5), data), config, data)
