"""The timed trial decides what the recipe leaves open, and leaves everything else as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training import autotune as trial_module
from thresher.training.autotune import choose_execution
from thresher.training.execution import ChosenExecution, Execution, default_execution
from thresher.training.loop import train

Halves = Callable[[int], Samples]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_module, "SECONDS", 0.05)
    monkeypatch.setattr(trial_module, "usable_cores", lambda: 2)


def config_of(**execution: Any) -> Training:
    return Training.model_validate(
        {"epochs": 2, "batch_size": 16, "execution": execution, "augmentation": [{"kind": "flip"}]}
    )


def test_what_is_open_is_measured_and_the_fastest_taken(network: Network, halves: Halves) -> None:
    chosen = choose_execution(network, halves(40), config_of())
    tried = [(one.channels_last, one.compile, one.threads) for one in chosen.trials]
    # The memory format is no question on a CPU: it changes bits, and the rule was never slower.
    assert tried == [(True, False, 2), (True, False, 1)]
    assert all(one.samples_per_second > 0 for one in chosen.trials)
    assert (chosen.channels_last, chosen.compile, chosen.threads) in tried
    # The answer is the faster one, or the rule where there is no clear difference.
    rule, other = chosen.trials
    assert (chosen.threads == 2) == (other.samples_per_second <= 1.05 * rule.samples_per_second)


def test_what_is_fixed_is_not_measured(network: Network, halves: Halves) -> None:
    fixed = config_of(channels_last=False, compile=False, threads=3)
    assert choose_execution(network, halves(40), fixed) == ChosenExecution(
        channels_last=False, compile=False, threads=3
    )
    half = choose_execution(network, halves(40), config_of(threads=3))
    assert half == ChosenExecution(channels_last=True, compile=False, threads=3)


def test_precision_is_a_question_only_where_it_is_auto(network: Network, halves: Halves) -> None:
    fixed: dict[str, Any] = {"threads": 1}
    auto = config_of(**fixed).model_copy(update={"precision": "auto"})
    assert [one.precision for one in choose_execution(network, halves(40), auto).trials] == ["fp32", "bf16"]
    for named in ("fp32", "bf16"):
        config = config_of(**fixed).model_copy(update={"precision": named})
        assert choose_execution(network, halves(40), config).trials == ()


@pytest.mark.parametrize(("gain", "chosen"), [(1.4, "fp32"), (1.6, "bf16")])
def test_bf16_has_to_be_worth_its_other_sums(
    gain: float, chosen: str, network: Network, halves: Halves, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate(way: Any, device: torch.device) -> float:
        return 100.0 * (gain if way.execution.precision == "bf16" else 1.0)

    monkeypatch.setattr(trial_module, "_turn", rate)
    auto = config_of(threads=1).model_copy(update={"precision": "auto"})
    assert choose_execution(network, halves(40), auto).precision == chosen


def test_a_network_without_images_has_no_memory_format(network: Network, halves: Halves) -> None:
    network.body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    chosen = choose_execution(network, halves(40), config_of(threads=1, channels_last=True))
    assert (chosen.channels_last, chosen.trials) == (False, ())


def test_a_trial_leaves_weights_random_states_and_threads_as_they_were(network: Network, halves: Halves) -> None:
    weights = [weight.clone() for weight in network.state_dict().values()]
    states, threads = torch.get_rng_state(), torch.get_num_threads()
    choose_execution(network, halves(40), config_of())
    assert torch.equal(states, torch.get_rng_state())
    assert threads == torch.get_num_threads()
    assert all(torch.equal(one, other) for one, other in zip(weights, network.state_dict().values(), strict=True))


def test_without_a_trial_images_have_their_channels_last(network: Network) -> None:
    chosen = default_execution(Execution(), network)
    assert chosen == ChosenExecution(channels_last=True, compile=False, threads=torch.get_num_threads())
    assert not default_execution(Execution(channels_last=False), network).channels_last


def test_a_fixed_execution_gives_the_same_bits_again(network: Network, halves: Halves) -> None:
    config = config_of(channels_last=True, compile=False, threads=2)
    execution = choose_execution(network, halves(64), config)
    runs = [train(network, halves(64), halves(8), config, "float", execution)[0].state_dict() for _ in range(3)]
    for name, tensor in runs[0].items():
        assert all(torch.equal(tensor, other[name]) for other in runs[1:]), name
