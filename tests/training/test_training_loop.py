"""The training loop learns, keeps the best epoch, can be repeated, and stops when the loss explodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from thresher.errors import TrainingError
from thresher.events import Event, TrainingEpoch, TrainingStep
from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.batches import Order, as_positions
from thresher.training.devices import choose_device
from thresher.training.execution import ChosenExecution
from thresher.training.history import Epoch
from thresher.training.loop import train
from thresher.training.optimizers import Adam, Sgd
from thresher.training.validation import evaluate_network

Halves = Callable[[int], Samples]
CPU = torch.device("cpu")
QUICK = Training(optimizer=Adam(lr=0.02), epochs=3, batch_size=16, device="cpu")


def weights_of(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def swap_labels(samples: Samples) -> Samples:
    return Samples(samples.inputs, 1 - samples.labels, samples.class_names)


def test_it_learns_what_can_be_learned(network: Network, halves: Halves) -> None:
    trained, history = train(network, halves(64), halves(200), QUICK, "float")
    assert history.epochs[-1].validation_metric == 1
    assert not trained.training
    assert evaluate_network(trained, halves(200), CPU)[1] == 1


def test_the_network_that_goes_in_is_left_as_it_is(network: Network, halves: Halves) -> None:
    before = weights_of(network)
    train(network, halves(32), halves(32), QUICK, "float")
    assert are_equal(before, weights_of(network))


def test_a_seed_gives_the_same_weights_and_another_one_others(network: Network, halves: Halves) -> None:
    runs = [
        weights_of(train(network, halves(64), halves(32), QUICK.model_copy(update={"seed": seed}), "float")[0])
        for seed in (7, 7, 8)
    ]
    assert are_equal(runs[0], runs[1])
    assert not are_equal(runs[0], runs[2])


@pytest.mark.parametrize(("batch_size", "steps"), [("full", 1), (1, 20), (8, 3), (20, 1), (500, 1)])
def test_the_batch_size_decides_the_steps_of_an_epoch(
    batch_size: int, steps: int, network: Network, halves: Halves
) -> None:
    config = QUICK.model_copy(update={"batch_size": batch_size, "epochs": 2})
    _, history = train(network, halves(20), halves(8), config, "float")
    assert [epoch.step for epoch in history.epochs] == [steps, 2 * steps]


def test_the_weights_of_the_best_epoch_are_kept(network: Network, halves: Halves) -> None:
    # Judged by swapped labels, what is learned makes every epoch worse than the one before.
    training, judge = halves(64), swap_labels(halves(32))
    config = QUICK.model_copy(update={"epochs": 4})
    trained, history = train(network, training, judge, config, "float")
    losses = [epoch.validation_loss for epoch in history.epochs]
    assert losses == sorted(losses)
    assert history.best_epoch == 1
    first, _ = train(network, training, judge, config.model_copy(update={"epochs": 1}), "float")
    assert are_equal(weights_of(trained), weights_of(first))
    assert evaluate_network(trained, judge, CPU)[0] == pytest.approx(losses[0])


def test_weights_that_are_zero_stay_zero(network: Network, halves: Halves) -> None:
    masks = {}
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight[torch.rand(weight.shape) < 0.5] = 0
                masks[name] = weight == 0
    trained, history = train(network, halves(64), halves(32), QUICK, "float")
    for name, weight in trained.named_parameters():
        if name in masks:
            assert torch.equal(weight == 0, masks[name]), name
    assert history.epochs[-1].validation_metric == 1


def test_a_training_loss_that_explodes_is_told_with_its_step(network: Network, halves: Halves) -> None:
    network.prepare.scale.fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"half: the loss is nan at step 1, .* lower training\.optimizer\.lr"):
        train(network, halves(32), halves(8), QUICK.model_copy(update={"epochs": 1}), "half")


def test_a_validation_loss_that_explodes_is_told_too(network: Network, halves: Halves) -> None:
    training = halves(32)
    training.inputs[:] = 110  # normalized to zeros, which no scale makes large
    network.prepare.scale.fill_(1e38)
    with pytest.raises(TrainingError, match="the validation loss is nan after step 2"):
        train(network, training, halves(8), QUICK, "float")


def test_the_samples_of_the_batch_are_named(network: Network, halves: Halves) -> None:
    samples = halves(32)
    places = np.array([f"train.csv:{row}" for row in range(2, 34)], dtype=object)
    poisoned = Samples(np.asarray(samples.inputs), samples.labels, samples.class_names, places)
    steps = 0
    forward = Network.forward

    def poison(self: Network, encoded: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        steps += 1
        learned = forward(self, encoded)
        return learned * float("inf") if steps == 3 else learned

    with pytest.MonkeyPatch.context() as patch, pytest.raises(TrainingError) as caught:
        patch.setattr(Network, "forward", poison)
        train(network, poisoned, halves(8), QUICK.model_copy(update={"batch_size": 12}), "float")
    batch = Order(32, 12, 3, QUICK.seed).of_epoch(1)[2]
    named = ", ".join(f"train.csv:{index + 2}" for index in as_positions(batch))
    assert f"at step 3, whose batch is {named}. Last good checkpoint: none." in str(caught.value)


def test_of_a_large_batch_ten_samples_are_named(network: Network, halves: Halves) -> None:
    network.prepare.scale.fill_(float("inf"))
    with pytest.raises(TrainingError, match=r"whose batch is sample 0, .*, sample 9 and 1,990 more\."):
        train(network, halves(2000), halves(8), QUICK.model_copy(update={"batch_size": "full"}), "float")


def test_it_ends_early_where_epochs_bring_nothing(network: Network, halves: Halves) -> None:
    judge = swap_labels(halves(32))
    config = QUICK.model_copy(update={"epochs": 9, "early_stopping": 2})
    trained, history = train(network, halves(64), judge, config, "float")
    assert (len(history.epochs), history.best_epoch) == (3, 1)
    assert evaluate_network(trained, judge, CPU)[0] == pytest.approx(history.epochs[0].validation_loss)


def test_the_last_weights_are_kept_where_the_recipe_says_so(network: Network, halves: Halves) -> None:
    judge = swap_labels(halves(32))
    trained, history = train(network, halves(64), judge, QUICK.model_copy(update={"keep": "last"}), "float")
    assert history.best_epoch == 3
    assert evaluate_network(trained, judge, CPU)[0] == pytest.approx(history.epochs[-1].validation_loss)


def test_what_an_observer_of_epochs_raises_ends_the_training(network: Network, halves: Halves) -> None:
    seen = []

    def stop(epoch: Epoch) -> None:
        seen.append(epoch)
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    threads = torch.get_num_threads()
    execution = ChosenExecution(channels_last=False, compile=False, threads=threads + 1)
    with pytest.raises(KeyboardInterrupt):
        train(network, halves(32), halves(8), QUICK, "float", execution, on_epoch=stop)
    assert [epoch.step for epoch in seen] == [2, 4]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_execution_is_what_was_chosen(channels_last: bool, network: Network, halves: Halves) -> None:
    execution, seen = ChosenExecution(channels_last=channels_last, compile=False, threads=2), set()
    samples = Samples(np.repeat(halves(32).inputs, 2, axis=1), halves(32).labels, ("left", "right"))
    image = ImageInput(channels=2, height=8, width=8, mean=(110.0, 110.0), std=(67.0, 67.0))
    colored = Network(network.spec.model_copy(update={"input": image}))
    forward = Network.forward

    def look(self: Network, encoded: torch.Tensor) -> torch.Tensor:
        if self.training:
            weight = self.body.conv1.weight
            seen.add(
                (
                    torch.get_num_threads(),
                    *(t.is_contiguous(memory_format=torch.channels_last) for t in (encoded, weight)),
                )
            )
        return forward(self, encoded)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "forward", look)
        trained, _ = train(colored, samples, samples, QUICK, "float", execution)
    assert seen == {(2, channels_last, channels_last)}
    assert all(weight.is_contiguous() for weight in trained.parameters())
    assert all(weight.grad is None for weight in trained.parameters())


def test_progress_is_told_in_order(network: Network, halves: Halves, events: list[Event]) -> None:
    config = QUICK.model_copy(update={"batch_size": 1, "epochs": 2, "optimizer": Sgd(lr=0.01)})
    _, history = train(network, halves(60), halves(8), config, "half")
    seen = [(type(event), event.step, event.training) for event in events]
    assert seen == [
        (TrainingStep, 50, "half"),
        (TrainingEpoch, 60, "half"),
        (TrainingStep, 100, "half"),
        (TrainingStep, 120, "half"),
        (TrainingEpoch, 120, "half"),
    ]
    told = [event for event in events if isinstance(event, TrainingEpoch)]
    assert [(event.epoch, event.epochs) for event in told] == [(1, 2), (2, 2)]
    assert [event.validation_loss for event in told] == [epoch.validation_loss for epoch in history.epochs]
    assert all(event.total_steps == 120 for event in events if isinstance(event, TrainingStep))


def test_evaluation_counts_every_sample_once_whatever_the_batches(
    network: Network, halves: Halves, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = halves(50)
    whole = evaluate_network(network, samples, CPU)
    monkeypatch.setattr("thresher.training.validation.EVALUATION_BATCH", 7)
    assert evaluate_network(network, samples, CPU) == pytest.approx(whole)
    with torch.inference_mode():
        correct = network(torch.from_numpy(samples.inputs)).argmax(1).numpy() == samples.labels
    assert whole[1] == np.mean(correct)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_told_and_never_replaced(network: Network, halves: Halves) -> None:
    with pytest.raises(TrainingError, match=r"training\.device: cuda, but torch .* sees no GPU"):
        train(network, halves(8), halves(8), QUICK.model_copy(update={"device": "cuda"}), "float")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_learns_the_same_and_gives_the_network_back_on_the_cpu(network: Network, halves: Halves) -> None:
    trained, history = train(network, halves(64), halves(200), QUICK.model_copy(update={"device": "cuda"}), "float")
    assert (history.device, history.epochs[-1].validation_metric) == ("cuda", 1)
    assert {parameter.device for parameter in trained.parameters()} == {CPU}


def test_auto_takes_the_gpu_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == CPU
