"""The short timed trial that finds out how this machine trains a network fastest."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from thresher.machine import usable_cores
from thresher.modalities.samples import EncodedSamples
from thresher.models.network import Network
from thresher.models.random_numbers import forked_generators
from thresher.training import Training
from thresher.training.batches import Order, load_batches
from thresher.training.devices import choose_device
from thresher.training.execution import ChosenExecution, Measured, default_execution, has_channels
from thresher.training.trainer import Trainer

SECONDS = 0.6
"""The seconds of measurement for each question, once every way has been tried twice."""
MIN_ROUNDS = 2
MIN_SECONDS_A_TURN = 0.02
MAX_SAMPLES = 512
"""The most samples in a batch of the trial."""
MIN_GAIN = 1.05
"""The relative gain from which on another way than the default is chosen: less is noise."""
MIN_GAIN_OF_BF16 = 1.5
"""The relative gain that is worth other sums: three digits of each in place of seven."""
STEPS_WORTH_COMPILING = 5000
"""A minute of compiling must come back."""


@dataclass
class _Way:
    """One way to do it, and how many samples a second it did in each round."""

    execution: ChosenExecution
    step: Any
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def choose_execution(network: Network, training: EncodedSamples, config: Training) -> ChosenExecution:
    """Return the fastest way to train ``network``, by trying those that the recipe leaves open in turns.

    One question after the other: threads on a CPU; memory format and compiling on a GPU; precision where it is auto. It
    takes a second or two, or longer where a step of the network does. Torch's random states and the network are left as
    they are.

    Args:
        training: some of it is learned from, by copies of the network.
    """
    device = choose_device(config.device)
    chosen = _start(config, network, device)
    trials: list[Measured] = []
    threads = torch.get_num_threads()
    try:
        with forked_generators([device] if device.type == "cuda" else []):
            for question in _questions(network, training, config, device):
                ways = [chosen, *(chosen.model_copy(update=other) for other in question)]
                chosen = _fastest(_measure(ways, network, training, config, device), trials)
    finally:
        torch.set_num_threads(threads)
    return chosen.model_copy(update={"trials": tuple(trials)})


def _start(config: Training, network: Network, device: torch.device) -> ChosenExecution:
    """Return what is the rule on this device."""
    chosen = default_execution(config.execution, network)
    if config.execution.threads == "auto":
        chosen = chosen.model_copy(update={"threads": usable_cores()})
    return chosen


def _questions(
    network: Network, training: EncodedSamples, config: Training, device: torch.device
) -> list[list[dict[str, Any]]]:
    """Return for each question that the recipe leaves open the other answers to try."""
    questions: list[list[dict[str, Any]]] = []
    cores = usable_cores()
    fewer = sorted({cores // 2, 1} - {0, cores}, reverse=True)
    if config.execution.threads == "auto" and device.type == "cpu" and fewer:
        questions.append([{"threads": count} for count in fewer])
    # On a CPU the rule stands: it was faster wherever it was measured, and the other format gives other bits.
    if config.execution.channels_last == "auto" and has_channels(network) and device.type == "cuda":
        questions.append([{"channels_last": False}])
    steps = Order(len(training), config.batch_size, config.epochs, config.seed).total_steps
    if config.execution.compile == "auto" and device.type == "cuda" and steps >= STEPS_WORTH_COMPILING:
        questions.append([{"compile": True}])
    if config.precision == "auto":
        questions.append([{"precision": "bf16"}])
    return questions


def _measure(
    ways: Sequence[ChosenExecution],
    network: Network,
    training: EncodedSamples,
    config: Training,
    device: torch.device,
) -> list[_Way]:
    """Return ``ways`` with their rates, measured in turns."""
    tried = [way for way in (_prepare(way, network, training, config, device) for way in ways) if way is not None]
    began, rounds = time.perf_counter(), 0
    while rounds < MIN_ROUNDS or time.perf_counter() - began < SECONDS:
        for way in tried if rounds % 2 == 0 else tried[::-1]:
            way.rates.append(_turn(way, device))
        rounds += 1
    return tried


def _prepare(
    execution: ChosenExecution, network: Network, training: EncodedSamples, config: Training, device: torch.device
) -> _Way | None:
    """Return a way that has taken its first step, None where torch cannot compile here."""
    size = min(Order(len(training), config.batch_size, 1, config.seed).size, MAX_SAMPLES)
    learner = Trainer(network, config, execution, training.labels, device, size)
    learner.network.train()
    few = type(training)(training.inputs[:size], training.labels[:size], training.class_names)
    (batch,) = load_batches(few, network.spec, device).in_slices(size)

    def step() -> int:
        learner.learn(batch)
        return size

    torch.set_num_threads(execution.threads)
    try:
        step()
    except Exception as error:  # a compiler raises whatever it stumbles on; anything else is raised again in training
        if not execution.compile:
            raise
        logging.getLogger(__name__).info("torch.compile does not work here: %s", error)
        return None
    return _Way(execution, step)


def _turn(way: _Way, device: torch.device) -> float:
    """Return how many samples a second ``way`` does now."""
    torch.set_num_threads(way.execution.threads)
    count, began, seconds = 0, time.perf_counter(), 0.0
    while seconds < MIN_SECONDS_A_TURN:
        count += way.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - began
    return count / seconds


def _fastest(ways: list[_Way], trials: list[Measured]) -> ChosenExecution:
    """Return the fastest of ``ways``, the first unless another is clearly faster, and add them all to ``trials``."""
    for way in ways:
        trials.append(Measured(**way.execution.model_dump(exclude={"trials"}), samples_per_second=way.rate))
    rule, best = ways[0], max(ways, key=lambda way: way.rate)
    other_sums = best.execution.precision != rule.execution.precision
    return best.execution if best.rate > (MIN_GAIN_OF_BF16 if other_sums else MIN_GAIN) * rule.rate else rule.execution
