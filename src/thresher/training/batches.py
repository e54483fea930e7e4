"""Samples batch by batch: from the device's memory where they fit, else from disk, read one batch ahead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch

from thresher.modalities.outputs import ValueOutput
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import NetworkSpec
from thresher.training import Training
from thresher.training.memory import free_bytes

Positions = slice | torch.Tensor
"""The positions of a batch's samples; a slice where they are adjacent, which costs no copy."""
MEGABYTE = 1_000_000
ROWS_AT_ONCE = 65536
ALIKE = 128
"""So many samples of like length are computed together where nothing is learned: more would differ in length."""
POOL = 50
"""Batches whose samples are sorted by length together."""


class Batch(NamedTuple):
    """Some samples on the device.

    Attributes:
        inputs: [B, ...] as the encoder makes them, without common padding.
        labels: [B]: int64 classes, or float32 values in standard deviations.
        positions: where they stand in the split, on the CPU.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    positions: Positions


class Batches:
    """The samples of one split, ready to be given out on ``device``; the base of the two below."""

    def __init__(self, samples: EncodedSamples, spec: NetworkSpec, device: torch.device) -> None:
        self.device = device
        self._labels = _learned_labels(samples, spec).to(device)
        self._lengths = _lengths(samples.inputs, spec)

    def __len__(self) -> int:
        return len(self._labels)

    def order(self, config: Training, epochs: int) -> Order:
        """Return which samples each step of ``epochs`` takes, as ``config`` puts them into batches."""
        lengths = self._lengths if config.group_by_length else None
        chances = balanced_chances(self._labels.cpu()) if config.sampling else None
        return Order(len(self), config.batch_size, epochs, config.seed, lengths, chances)

    def iterate(self, order: Sequence[Positions]) -> Iterator[Batch]:
        """Yield the batch at each of ``order``."""
        raise NotImplementedError

    def in_slices(self, size: int) -> Iterator[Batch]:
        """Yield all samples in their own order, ``size`` at a time."""
        return self.iterate([slice(start, start + size) for start in range(0, len(self), size)])

    def by_length(self, size: int) -> Iterator[Batch]:
        """Yield all samples, at most ``size`` at once; where lengths differ, of like length, the shortest first."""
        if self._lengths is None:
            return self.in_slices(size)
        return self.iterate(self._lengths.argsort(stable=True).split(min(size, ALIKE)))

    def _until(self, positions: Positions) -> int | None:
        """Return how long the longest sample at ``positions`` is; None where all are alike."""
        return None if self._lengths is None else max(int(self._lengths[positions].max()), 1)


class InMemory(Batches):
    """All samples lie on the device, as the encoder made them."""

    def __init__(self, samples: EncodedSamples, spec: NetworkSpec, device: torch.device) -> None:
        super().__init__(samples, spec, device)
        self._inputs = _as_tensor(samples.inputs).to(device)

    def iterate(self, order: Sequence[Positions]) -> Iterator[Batch]:
        for positions in order:
            here = positions
            if isinstance(positions, torch.Tensor) and self.device.type != "cpu":
                here = positions.pin_memory().to(self.device, non_blocking=True)
            until = self._until(positions)
            inputs = self._inputs if until is None else self._inputs[:, :until]
            yield Batch(inputs[here], self._labels[here], positions)


class Streamed(Batches):
    """Inputs stay where they are, such as in a memory-mapped file; a thread reads one batch ahead."""

    def __init__(self, samples: EncodedSamples, spec: NetworkSpec, device: torch.device) -> None:
        super().__init__(samples, spec, device)
        self._inputs = samples.inputs

    def iterate(self, order: Sequence[Positions]) -> Iterator[Batch]:
        with ThreadPoolExecutor(1, "thresher-reader") as reader:
            ahead: Future[torch.Tensor] | None = reader.submit(self._read, order[0]) if order else None
            for number, positions in enumerate(order):
                assert ahead is not None
                inputs = ahead.result()
                ahead = reader.submit(self._read, order[number + 1]) if number + 1 < len(order) else None
                here = positions if isinstance(positions, slice) else positions.to(self.device)
                yield Batch(inputs.to(self.device, non_blocking=True), self._labels[here], positions)

    def _read(self, positions: Positions) -> torch.Tensor:
        until = self._until(positions)
        inputs = self._inputs if until is None else self._inputs[:, :until]
        rows = np.array(inputs[positions if isinstance(positions, slice) else positions.numpy()])
        batch = _aligned(torch.from_numpy(rows))
        return batch.pin_memory() if self.device.type == "cuda" else batch


def load_batches(
    samples: EncodedSamples, spec: NetworkSpec, device: torch.device, limit_mb: int | None = None
) -> Batches:
    """Return ``samples`` in memory where their inputs take at most ``limit_mb``, else streamed.

    Args:
        limit_mb: half of what is free on ``device`` where it is None. Inputs that the CPU has in memory already
            need nothing.
    """
    if limit_mb is not None:
        fits = samples.inputs.nbytes <= limit_mb * MEGABYTE
    else:
        there_already = device.type == "cpu" and not _needs_copy(samples.inputs)
        fits = there_already or samples.inputs.nbytes <= free_bytes(device) / 2
    return (InMemory if fits else Streamed)(samples, spec, device)


class Order:
    """Which samples each step of a training takes; a function of seed and epoch alone, on every device.

    Args:
        count: samples of the training split.
        batch_size: "full" takes them all at each step, in their own order. A last batch of one sample joins the one
            before: a batch norm knows no spread of one.
        lengths: of each sample [count]: batches are made of samples of like length. Samples are drawn as without it,
            sorted by length within pools of ``POOL`` batches, and the batches then drawn in turn, so that short and
            long ones alternate; as transformers' ``LengthGroupedSampler`` does but for the last draw.
        chances: of each sample [count], float64, to be drawn next; each once an epoch where there are none.
    """

    def __init__(
        self,
        count: int,
        batch_size: int | str,
        epochs: int,
        seed: int,
        lengths: torch.Tensor | None = None,
        chances: torch.Tensor | None = None,
    ) -> None:
        self.size = count if isinstance(batch_size, str) else min(batch_size, count)
        self.steps_an_epoch = len(sizes_of_parts(count, self.size))
        self.total_steps = epochs * self.steps_an_epoch
        self._count, self._seed, self._lengths = count, seed, lengths
        self._ends = None if chances is None else chances.cumsum(0) / chances.sum()

    def of_epoch(self, epoch: int) -> Sequence[Positions]:
        """Return the batches of ``epoch``, which counts from 1."""
        if self.size == self._count and self._ends is None:
            return [slice(0, self._count)]
        generator = torch.Generator().manual_seed((self._seed + epoch) % 2**63)
        if self._ends is not None:  # torch.multinomial knows 2^24 samples at most
            points = torch.rand(self._count, generator=generator, dtype=torch.float64)
            drawn = torch.searchsorted(self._ends, points, right=True).clamp(max=self._count - 1)
        else:
            drawn = torch.randperm(self._count, generator=generator)
        if self._lengths is not None:
            pools = drawn.split(POOL * self.size)
            drawn = torch.cat([pool[self._lengths[pool].argsort(stable=True)] for pool in pools])
        batches: tuple[torch.Tensor, ...] = drawn.split(sizes_of_parts(self._count, self.size))
        if self._lengths is None:
            return batches
        return [batches[number] for number in torch.randperm(len(batches), generator=generator)]


def balanced_chances(labels: torch.Tensor) -> torch.Tensor:
    """Return how likely each sample is to be drawn next, float64 [N], where each class is drawn equally often."""
    counts = torch.bincount(labels)
    chances: torch.Tensor = 1 / (counts[labels].double() * (counts > 0).sum())
    return chances


def sizes_of_parts(count: int, size: int) -> list[int]:
    """Return how ``count`` samples are split into parts of ``size``, the last one smaller, but not of one sample."""
    sizes = [size] * (count // size) + [count % size] * (count % size > 0)
    if size > 1 and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [size + 1]
    return sizes


def in_own_order(parts: Sequence[torch.Tensor], positions: Sequence[Positions]) -> torch.Tensor:
    """Return ``parts``, [b, ...] each, of the samples at ``positions``, as one in the order of the samples."""
    places = [some for some in positions if isinstance(some, torch.Tensor)]  # slices stand in this order
    whole = torch.cat(list(parts))
    return whole[torch.cat(places).argsort().to(whole.device)] if places else whole


def as_positions(positions: Positions) -> list[int]:
    """Return ``positions`` one by one."""
    if isinstance(positions, slice):
        return list(range(positions.start, positions.stop))
    return [int(position) for position in positions]


def _learned_labels(samples: EncodedSamples, spec: NetworkSpec) -> torch.Tensor:
    if isinstance(spec.output, ValueOutput):
        return torch.from_numpy((samples.labels - spec.output.mean) / spec.output.std).float()
    return _as_tensor(samples.labels)


def _lengths(inputs: np.ndarray, spec: NetworkSpec) -> torch.Tensor | None:
    """Return the length of each sample [N], once for the whole training; None where all are alike."""
    if None not in spec.input.shape:
        return None
    parts = [spec.input.lengths(inputs[start : start + ROWS_AT_ONCE]) for start in range(0, len(inputs), ROWS_AT_ONCE)]
    return torch.from_numpy(np.concatenate(parts)) if parts else torch.zeros(0, dtype=torch.int64)


def _as_tensor(array: Any) -> torch.Tensor:
    """Return ``array`` as a tensor, which shares its memory where it can."""
    return _aligned(torch.from_numpy(np.array(array))) if _needs_copy(array) else torch.from_numpy(array)


def _needs_copy(array: Any) -> bool:
    in_file = isinstance(array, np.memmap) or not array.flags.writeable
    return in_file or not array.flags.c_contiguous or array.dtype.kind == "f"


def _aligned(tensor: torch.Tensor) -> torch.Tensor:
    """Return ``tensor`` where torch aligns memory: sums over real numbers come out differently elsewhere."""
    return tensor.clone() if tensor.is_floating_point() else tensor
