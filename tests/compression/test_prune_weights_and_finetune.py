"""Unstructured pruning zeroes the exact share of the smallest weights, and finetuning keeps them zero."""

from __future__ import annotations

import pytest
import torch

from thresher.compression.data import CompressionData
from thresher.compression.finetune import Finetune, finetune
from thresher.compression.prune_weights import PruneWeights, prune_weights
from thresher.models.network import Network
from thresher.progress import Event, TrainingEpoch
from thresher.training.loop import evaluate_network


def weights_of(network: Network) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.body.parameters() if weight.ndim > 1])


@pytest.fixture(scope="module")
def sparse(trained: Network, compression_data: CompressionData) -> Network:
    return prune_weights(trained, PruneWeights(sparsity=0.8), compression_data)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.99])
def test_the_exact_share_of_weights_is_zero(
    sparsity: float, trained: Network, compression_data: CompressionData
) -> None:
    weights = weights_of(prune_weights(trained, PruneWeights(sparsity=sparsity), compression_data))
    assert int((weights == 0).sum()) == round(sparsity * len(weights))


def test_the_smallest_weights_of_the_whole_network_are_the_ones(trained: Network, sparse: Network) -> None:
    before, after = (
        {name: weight for name, weight in network.body.named_parameters() if weight.ndim > 1}
        for network in (trained, sparse)
    )
    gone = torch.cat([before[name][after[name] == 0].abs() for name in before])
    kept = torch.cat([before[name][after[name] != 0].abs() for name in before])
    assert gone.max() <= kept.min()


def test_biases_and_batch_norms_are_left_alone(trained: Network, sparse: Network) -> None:
    others = {name: tensor for name, tensor in trained.state_dict().items() if tensor.ndim <= 1}
    assert others
    assert all(torch.equal(sparse.state_dict()[name], tensor) for name, tensor in others.items())
    assert sparse.state_dict().keys() == trained.state_dict().keys()


def test_pruning_twice_gives_the_second_share_of_all_weights(
    sparse: Network, compression_data: CompressionData
) -> None:
    weights = weights_of(prune_weights(sparse, PruneWeights(sparsity=0.9), compression_data))
    assert int((weights == 0).sum()) == round(0.9 * len(weights))


def test_finetuning_keeps_the_zeros_and_wins_back_accuracy(sparse: Network, compression_data: CompressionData) -> None:
    tuned = finetune(sparse, Finetune(epochs=2), compression_data)
    assert torch.equal(weights_of(tuned) == 0, weights_of(sparse) == 0)
    judge = compression_data.validation_samples, torch.device("cpu")
    assert evaluate_network(tuned, *judge)[0] < evaluate_network(sparse, *judge)[0]


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
