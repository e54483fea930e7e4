"""Samples are given out whole, in the order that was asked for, trimmed, and alike from memory and from disk."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thresher.modalities.image.model_input import ImageInput
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import ClassOutput
from thresher.modalities.samples import EncodedSamples, Samples
from thresher.modalities.series.model_input import SeriesInput
from thresher.modalities.text.model_input import TextInput
from thresher.models.cnn import Cnn
from thresher.models.network import Network, NetworkSpec
from thresher.models.textcnn.config import TextCnn
from thresher.training import Training
from thresher.training.augmentation import Flip, Shift
from thresher.training.batches import (
    InMemory,
    Order,
    Streamed,
    as_positions,
    balanced_chances,
    in_own_order,
    load_batches,
)
from thresher.training.loop import train

CPU = torch.device("cpu")
TEXT = TextInput(vocabulary_size=50, max_length=12)
SERIES = SeriesInput(channels=2, max_length=12, mean=(0.0, 0.0), std=(1.0, 1.0))


def spec_of(given: ModelInput) -> NetworkSpec:
    return NetworkSpec(model=Cnn(), input=given, output=ClassOutput(num_classes=2))


def padded(given: ModelInput, count: int = 40) -> EncodedSamples:
    random = np.random.default_rng(0)
    inputs: Any = random.integers(1, 50, (count, *given.longest)).astype(given.dtype)
    for row, length in zip(inputs, random.integers(1, 13, count), strict=True):
        row[length:] = np.nan if given.dtype.kind == "f" else 0
    return Samples(inputs, np.arange(count) % 2, ("a", "b"))


def on_disk(samples: EncodedSamples, folder: Path) -> EncodedSamples:
    np.save(folder / "inputs.npy", samples.inputs)
    return Samples(np.load(folder / "inputs.npy", mmap_mode="r"), samples.labels, samples.class_names)


@pytest.mark.parametrize("kind", [InMemory, Streamed])
@pytest.mark.parametrize("given", [TEXT, SERIES], ids=["text", "series"])
def test_batches_lose_what_padding_their_samples_share(given: ModelInput, kind: type[InMemory]) -> None:
    samples = padded(given)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).split(6)
    lengths = set()
    for batch, positions in zip(kind(samples, spec_of(given), CPU).iterate(order), order, strict=True):
        expected = given.trim(samples.inputs[positions.numpy()])
        np.testing.assert_array_equal(batch.inputs.numpy(), expected)
        np.testing.assert_array_equal(batch.labels.numpy(), samples.labels[positions.numpy()])
        assert torch.equal(torch.as_tensor(as_positions(batch.positions)), positions)
        lengths.add(expected.shape[1])
    assert len(lengths) > 1


@pytest.mark.parametrize("kind", [InMemory, Streamed])
def test_slices_give_every_sample_once(kind: type[InMemory], halves: Callable[[int], Samples]) -> None:
    samples = halves(23)
    image = ImageInput(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,))
    given = list(kind(samples, spec_of(image), CPU).in_slices(5))
    np.testing.assert_array_equal(np.concatenate([batch.inputs.numpy() for batch in given]), samples.inputs)
    assert [len(batch.labels) for batch in given] == [5, 5, 5, 5, 3]


@pytest.mark.parametrize("kind", [InMemory, Streamed])
def test_where_nothing_is_learned_samples_of_like_length_go_together(kind: type[InMemory]) -> None:
    samples = padded(TEXT)
    given = list(kind(samples, spec_of(TEXT), CPU).by_length(6))
    lengths = TEXT.lengths(samples.inputs)
    assert [batch.inputs.shape for batch in given] == [
        (len(some), some.max()) for some in np.split(np.sort(lengths), range(6, 40, 6))
    ]
    first = in_own_order([batch.inputs[:, 0] for batch in given], [batch.positions for batch in given])
    np.testing.assert_array_equal(first.numpy(), samples.inputs[:, 0])


def test_samples_of_one_length_stay_in_their_order(halves: Callable[[int], Samples]) -> None:
    image = ImageInput(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,))
    samples = halves(23)
    given = list(InMemory(samples, spec_of(image), CPU).by_length(5))
    whole = in_own_order([batch.inputs for batch in given], [batch.positions for batch in given])
    np.testing.assert_array_equal(whole.numpy(), samples.inputs)


def test_balanced_sampling_draws_each_class_equally_often_and_is_a_function_of_seed_and_epoch() -> None:
    labels = torch.tensor([0] * 900 + [2] * 100)
    chances = balanced_chances(labels)
    order = Order(1000, 1000, 3, seed=1, chances=chances)
    first, second = (torch.cat([*order.of_epoch(epoch)]) for epoch in (1, 2))  # type: ignore[misc]
    assert len(first) == 1000 and not torch.equal(first, second)
    for drawn in (first, second):
        assert 430 < int((labels[drawn] == 2).sum()) < 570
    again = Order(1000, 64, 3, seed=1, chances=chances).of_epoch(1)
    assert torch.equal(torch.cat([*again]), first) and len(again) == 16  # type: ignore[misc]


def test_every_epoch_takes_every_sample_once_in_an_order_of_its_own() -> None:
    order = Order(50, 8, 3, seed=1)
    assert (order.steps_an_epoch, order.total_steps) == (7, 21)
    epochs = [[p for positions in order.of_epoch(epoch) for p in as_positions(positions)] for epoch in (1, 2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(50))
    assert epochs[0] != epochs[1]
    assert epochs[0] == [p for positions in Order(50, 8, 9, seed=1).of_epoch(1) for p in as_positions(positions)]
    assert epochs[0] != [p for positions in Order(50, 8, 3, seed=5).of_epoch(1) for p in as_positions(positions)]


def test_batches_of_like_length_take_every_sample_once_with_little_padding() -> None:
    lengths = torch.from_numpy(np.random.default_rng(0).integers(1, 60, 1000))
    plain, grouped = Order(1000, 16, 2, seed=1), Order(1000, 16, 2, seed=1, lengths=lengths)
    epochs = [list(grouped.of_epoch(epoch)) for epoch in (1, 2)]
    for batches in epochs:
        assert sorted(p for positions in batches for p in as_positions(positions)) == list(range(1000))
        assert sorted(len(as_positions(positions)) for positions in batches) == [8] + [16] * 62
    assert [as_positions(each) for each in epochs[0]] != [as_positions(each) for each in epochs[1]]
    assert [as_positions(each) for each in epochs[0]] == [as_positions(each) for each in grouped.of_epoch(1)]

    def padded(order: Order) -> int:
        return sum(int(lengths[each].max()) * len(as_positions(each)) for each in order.of_epoch(1))

    assert padded(grouped) < 1.1 * int(lengths.sum())
    assert padded(plain) > 1.7 * int(lengths.sum())
    longest = [int(lengths[each].max()) for each in epochs[0]]
    assert longest != sorted(longest)


def test_a_training_that_groups_by_length_learns_from_shorter_batches() -> None:
    samples = padded(TEXT, 200)
    spec = NetworkSpec(model=TextCnn(dimension=8, num_filters=4), input=TEXT, output=ClassOutput(num_classes=2))
    network = Network(spec)
    seen: dict[bool, list[int]] = {False: [], True: []}
    for grouped, lengths in seen.items():
        config = Training(epochs=1, batch_size=8, group_by_length=grouped, device="cpu")
        learner = copy.deepcopy(network)
        learner.register_forward_pre_hook(lambda body, given, lengths=lengths: lengths.append(given[0].shape[1]))
        train(learner, samples, samples, config, "float")
    assert len(set(map(len, seen.values()))) == 1
    assert sum(seen[True][:25]) < 0.8 * sum(seen[False][:25])


def test_where_samples_lie_is_decided_by_the_limit(tmp_path: Path, halves: Callable[[int], Samples]) -> None:
    samples = on_disk(halves(16_000), tmp_path)
    spec = spec_of(ImageInput(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,)))
    assert samples.inputs.nbytes > 1_000_000
    assert type(load_batches(samples, spec, CPU, 1)) is Streamed
    assert type(load_batches(samples, spec, CPU, 2)) is InMemory
    assert type(load_batches(samples, spec, CPU)) is InMemory


def test_a_memory_map_larger_than_half_of_what_is_free_is_streamed(
    tmp_path: Path, halves: Callable[[int], Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = halves(100)
    monkeypatch.setattr("thresher.training.batches.free_bytes", lambda device: 2 * samples.inputs.nbytes - 1)
    spec = spec_of(ImageInput(channels=1, height=8, width=8, mean=(0.0,), std=(1.0,)))
    assert type(load_batches(on_disk(samples, tmp_path), spec, CPU)) is Streamed
    assert type(load_batches(samples, spec, CPU)) is InMemory  # it is in memory already


def test_a_data_set_larger_than_the_limit_gives_the_same_weights_to_the_bit(
    tmp_path: Path, network: Network, halves: Callable[[int], Samples]
) -> None:
    samples = halves(16_000)
    config = Training(epochs=1, batch_size=512, augmentation=(Flip(), Shift(pixels=1)))
    streaming = config.model_copy(update={"memory_limit_mb": 1})
    whole, _ = train(network, samples, halves(64), config, "float")
    streamed, _ = train(network, on_disk(samples, tmp_path), halves(64), streaming, "float")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, streamed.state_dict()[name]), name


def test_what_the_reader_meets_reaches_the_training(network: Network, halves: Callable[[int], Samples]) -> None:
    class Broken(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            raise OSError("the disk is gone")

    samples = halves(16_000)
    broken = Streamed(Samples(samples.inputs.view(Broken), samples.labels, samples.class_names), network.spec, CPU)
    with pytest.raises(OSError, match="the disk is gone"):
        list(broken.in_slices(8))
