"""What a step does: parts add up to a batch, memory that runs out halves them, averages, clipping, precision."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from thresher.errors import TrainingError
from thresher.events import Event, Step
from thresher.modalities.samples import Samples
from thresher.models.lenet import LeNet
from thresher.models.network import Network, NetworkSpec
from thresher.training import Training
from thresher.training.activation_checkpointing import recompute, stop_recomputing
from thresher.training.batches import Batch, load_batches
from thresher.training.ema import move_average
from thresher.training.execution import ChosenExecution, default_execution
from thresher.training.loop import train
from thresher.training.memory import in_parts_that_fit
from thresher.training.trainer import Trainer

Halves = Callable[[int], Samples]
CPU = torch.device("cpu")
STILL = {"optimizer": {"kind": "sgd", "lr": 0.1}, "epochs": 1}


@pytest.fixture
def lenet() -> Network:
    """A network without batch norms: its gradients of parts add up."""
    from thresher.modalities.image.model_input import ImageInput
    from thresher.modalities.outputs import ClassOutput

    torch.set_num_threads(1)
    torch.manual_seed(0)
    image = ImageInput(channels=1, height=8, width=8, mean=(110.0,), std=(67.0,))
    return Network(NetworkSpec(model=LeNet(), input=image, output=ClassOutput(num_classes=2)))


def learner_of(network: Network, samples: Samples, **settings: Any) -> tuple[Trainer, Batch]:
    config = Training.model_validate({**STILL, **settings})
    execution = default_execution(config.execution, network)
    learner = Trainer(network, config, execution, samples.labels, CPU, len(samples))
    (batch,) = load_batches(samples, network.spec, CPU).in_slices(len(samples))
    return learner, batch


def change(learner: Trainer, batch: Batch) -> list[torch.Tensor]:
    before = [weight.detach().clone() for weight in learner.network.parameters()]
    learner.learn(batch)
    return [weight.detach() - old for weight, old in zip(learner.network.parameters(), before, strict=True)]


@pytest.mark.parametrize("settings", [{}, {"class_weights": "balanced", "label_smoothing": 0.1}])
@pytest.mark.parametrize("parts", [2, 6, 30])
def test_a_batch_in_parts_is_the_same_step(
    parts: int, settings: dict[str, Any], lenet: Network, halves: Halves
) -> None:
    samples = halves(40).take(np.r_[0:40:2, 1:20:2])
    whole = change(*learner_of(lenet, samples, **settings))
    learner, batch = learner_of(lenet, samples, accumulation=parts, **settings)
    sizes: list[int] = []
    learner.network.register_forward_hook(lambda module, given, answer: sizes.append(len(answer)))
    for one, other in zip(whole, change(learner, batch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    assert sum(sizes) == 30
    assert len(sizes) == parts


def test_memory_that_runs_out_halves_the_parts_and_keeps_the_batch(
    lenet: Network, halves: Halves, events: list[Event]
) -> None:
    expected = change(*learner_of(lenet, halves(40)))
    learner, batch = learner_of(lenet, halves(40))
    sizes: list[int] = []

    def refuse(module: torch.nn.Module, given: tuple[torch.Tensor]) -> None:
        if len(given[0]) > 12:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")
        sizes.append(len(given[0]))

    learner.network.register_forward_pre_hook(refuse)
    for one, other in zip(expected, change(learner, batch), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    assert sizes == [10, 10, 10, 10]
    assert learner.part_size == 10
    assert [event.text for event in events if isinstance(event, Step)] == [
        "training: out of memory, going on with 20 samples at a time",
        "training: out of memory, going on with 10 samples at a time",
    ]


def test_a_whole_training_goes_on_where_memory_is_short(
    network: Network, halves: Halves, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Network.forward

    def refuse(self: Network, encoded: torch.Tensor) -> torch.Tensor:
        if len(encoded) > 20:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        return forward(self, encoded)

    monkeypatch.setattr(Network, "forward", refuse)
    config = Training.model_validate({"optimizer": {"kind": "adam", "lr": 0.02}, "epochs": 4, "batch_size": 32})
    _, history = train(network, halves(64), halves(200), config, "float")
    assert history.epochs[-1].validation_metric == 1


def test_not_even_one_sample_says_what_to_do_and_other_errors_are_left_alone() -> None:
    def too_large(size: int) -> int:
        raise MemoryError

    def broken(size: int) -> int:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(TrainingError, match=r"not even one sample fits .* training\.precision: bf16"):
        in_parts_that_fit(too_large, 8, "training")
    with pytest.raises(RuntimeError, match="shapes"):
        in_parts_that_fit(broken, 8, "training")


def test_the_gradient_is_clipped_to_the_norm_of_all_weights(lenet: Network, halves: Halves) -> None:
    free = torch.cat([part.flatten() for part in change(*learner_of(lenet, halves(16)))])
    clipped = torch.cat([part.flatten() for part in change(*learner_of(lenet, halves(16), clip_norm=0.01))])
    assert float(free.norm()) > 2 * 0.1 * 0.01
    assert float(clipped.norm()) == pytest.approx(0.1 * 0.01, rel=1e-3)
    torch.testing.assert_close(clipped / clipped.norm(), free / free.norm(), rtol=1e-3, atol=2e-5)


def test_the_average_follows_the_weights_and_statistics(network: Network) -> None:
    average, moved = copy.deepcopy(network), copy.deepcopy(network)
    with torch.no_grad():
        for tensor in moved.state_dict().values():
            tensor.add_(1)
    move_average(average, moved, 0.9, step=1000)
    for name, kept in average.state_dict().items():
        share = 1 if not kept.is_floating_point() else 0.1
        torch.testing.assert_close(kept, network.state_dict()[name] + share, msg=name)


def test_the_average_is_young_at_the_start(network: Network) -> None:
    average, moved = copy.deepcopy(network), copy.deepcopy(network)
    with torch.no_grad():
        moved.body.fc2.bias.add_(11)
    move_average(average, moved, 0.999, step=1)
    torch.testing.assert_close(average.body.fc2.bias, network.body.fc2.bias + 9)


def test_the_average_is_what_is_judged_and_kept(network: Network, halves: Halves) -> None:
    settings: dict[str, Any] = {"optimizer": {"kind": "sgd", "lr": 0.2}, "epochs": 1, "batch_size": 8}
    plain, _ = train(network, halves(16), halves(8), Training.model_validate(settings), "float")
    averaged, history = train(
        network, halves(16), halves(8), Training.model_validate({**settings, "ema": 0.5}), "float"
    )
    assert not torch.equal(averaged.body.fc2.weight, plain.body.fc2.weight)
    # Between the weights after each of the two steps and those at the start.
    low = torch.minimum(network.body.fc2.bias, plain.body.fc2.bias) - 0.2
    high = torch.maximum(network.body.fc2.bias, plain.body.fc2.bias) + 0.2
    assert ((averaged.body.fc2.bias >= low) & (averaged.body.fc2.bias <= high)).all()
    from thresher.training.validation import evaluate_network

    assert history.epochs[0].validation_loss == pytest.approx(evaluate_network(averaged, halves(8), CPU)[0])


@pytest.mark.parametrize(("said", "found", "computes_in"), [
    ("auto", "bf16", torch.bfloat16), ("auto", "fp32", torch.float32), ("fp32", "bf16", torch.float32),
])  # fmt: skip
def test_auto_trains_in_the_precision_that_the_trial_found(
    said: str, found: str, computes_in: torch.dtype, network: Network, halves: Halves
) -> None:
    samples = halves(32)
    seen: set[torch.dtype] = set()
    config = Training.model_validate({"precision": said})
    execution = ChosenExecution.model_validate(
        {"channels_last": False, "compile": False, "threads": 1, "precision": found}
    )
    learner = Trainer(network, config, execution, samples.labels, CPU, 32)
    learner.network.body.fc1.register_forward_hook(lambda module, given, answer: seen.add(answer.dtype))
    (batch,) = load_batches(samples, network.spec, CPU).in_slices(32)
    learner.learn(batch)
    assert seen == {computes_in}


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_takes_nearly_the_same_step_and_learns(
    precision: str, network: Network, halves: Halves
) -> None:
    seen: set[torch.dtype] = set()
    learner, batch = learner_of(network, halves(32), precision=precision)
    learner.network.body.fc1.register_forward_hook(lambda module, given, answer: seen.add(answer.dtype))
    full, lower = change(*learner_of(network, halves(32))), change(learner, batch)
    assert seen == {{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]}
    assert all(weight.dtype == torch.float32 for weight in learner.network.parameters())
    largest = max(float(part.abs().max()) for part in full)
    assert max(float((a - b).abs().max()) for a, b in zip(full, lower, strict=True)) < 0.05 * largest
    config = Training.model_validate({"epochs": 4, "batch_size": 16, "precision": precision, "clip_norm": 5.0,
                                      "optimizer": {"kind": "adam", "lr": 0.02}})  # fmt: skip
    assert train(network, halves(64), halves(64), config, "float")[1].epochs[-1].validation_metric == 1


def gradients(body: torch.nn.Module, given: torch.Tensor) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    torch.manual_seed(5)
    body.train()
    body.zero_grad()
    body(given).square().sum().backward()
    kept = [weight.grad.clone() for weight in body.parameters() if weight.grad is not None]
    return kept, {name: tensor.clone() for name, tensor in body.named_buffers()}


class Blocks(torch.nn.Module):
    """A body that is no chain, with a list, a chain, dropout and batch norm in it."""

    def __init__(self) -> None:
        super().__init__()
        norm = torch.nn.BatchNorm1d(6)
        self.stem = torch.nn.Linear(4, 6)
        self.list = torch.nn.ModuleList([torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)])
        self.chain = torch.nn.Sequential(torch.nn.Linear(6, 6), norm, torch.nn.ReLU(), torch.nn.Dropout(0.5))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        value = self.stem(given)
        for layer in self.list:
            value = value + torch.tanh(layer(value))
        answer: torch.Tensor = self.chain(value)
        return answer


@pytest.mark.parametrize("kind", ["chain", "blocks"])
def test_recomputing_gives_the_same_gradients_and_statistics(kind: str, network: Network) -> None:
    body = network.body if kind == "chain" else Blocks()
    given = torch.rand(9, 1, 8, 8) if kind == "chain" else torch.rand(9, 4)
    other = copy.deepcopy(body)
    runs = {"kept": 0, "recomputed": 0}
    layer = "conv1" if kind == "chain" else "stem"
    body.get_submodule(layer).register_forward_hook(lambda *_: runs.update(kept=runs["kept"] + 1))
    other.get_submodule(layer).register_forward_hook(lambda *_: runs.update(recomputed=runs["recomputed"] + 1))
    recompute(other)
    expected, statistics = gradients(body, given)
    again, same_statistics = gradients(other, given)
    for one, two in zip(expected, again, strict=True):
        assert torch.equal(one, two)
    for name, tensor in statistics.items():
        assert torch.equal(tensor, same_statistics[name]), name
    if kind == "chain":
        assert runs == {"kept": 1, "recomputed": 2}
    stop_recomputing(other)
    assert all("forward" not in vars(module) for module in other.modules())


def test_a_training_that_recomputes_comes_to_the_same_weights(network: Network, halves: Halves) -> None:
    config = Training.model_validate({"epochs": 2, "batch_size": 16})
    plain, _ = train(network, halves(40), halves(8), config, "float")
    saved = train(
        network, halves(40), halves(8), config.model_copy(update={"activation_checkpointing": True}), "float"
    )[0]
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, saved.state_dict()[name]), name


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(network: Network, halves: Halves) -> None:
    config = Training.model_validate({"epochs": 1, "batch_size": 16, "execution": {"compile": True, "threads": 1}})
    plain = config.model_copy(update={"execution": config.execution.model_copy(update={"compile": False})})
    compiled, history = train(network, halves(32), halves(8), config, "float")
    expected, _ = train(network, halves(32), halves(8), plain, "float")
    assert compiled.state_dict().keys() == expected.state_dict().keys()
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], weight, rtol=1e-3, atol=1e-4)
    assert history.epochs[0].step == 2
