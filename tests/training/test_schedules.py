"""Each schedule gives the factors that its paper says, and a training follows them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thresher.events import Event, TrainingStep
from thresher.kinds.built_in import SCHEDULES
from thresher.kinds.record import ScheduleKind
from thresher.modalities.samples import Samples
from thresher.models.network import Network
from thresher.training import Training
from thresher.training.loop import train
from thresher.training.optimizers import Sgd
from thresher.training.schedules import Constant, Cosine, OneCycle, Schedule, Step, rate_factor


def factors(schedule: Schedule, total: int) -> list[float]:
    return [rate_factor(schedule, step, total) for step in range(total)]


def test_constant_and_steps() -> None:
    assert factors(Constant(), 3) == [1, 1, 1]
    assert factors(Step(at=(0.5, 0.75), factor=0.1), 9) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_cosine_is_torchs() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.1)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        torchs.step()
    assert factors(Cosine(final=0.1), 11) == pytest.approx(rates)


def test_one_cycle_goes_up_to_the_rate_and_down_to_almost_nothing() -> None:
    cycle = factors(OneCycle(rise=0.3, start=0.04, final=1e-4), 11)
    assert (cycle[0], cycle[3], cycle[-1]) == pytest.approx((0.04, 1.0, 1e-4))
    assert cycle[:4] == sorted(cycle[:4])
    assert cycle[3:] == sorted(cycle[3:], reverse=True)


def test_warm_up_rises_in_a_straight_line_to_where_the_schedule_begins() -> None:
    assert factors(Constant(warmup=0.4), 10)[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors(Cosine(warmup=0.4), 10)[4] == pytest.approx(1.0)


@given(st.sampled_from(SCHEDULES), st.integers(1, 500))
def test_every_factor_lies_between_0_and_1_and_some_step_has_nearly_all_of_the_rate(
    kind: ScheduleKind, total: int
) -> None:
    given_factors = factors(kind.config_class(), total)
    assert all(math.isfinite(factor) and 0 <= factor <= 1 + 1e-12 for factor in given_factors)
    assert max(given_factors) > 0.9 or total < 10


def test_a_training_takes_the_rate_of_its_step(
    network: Network, halves: Callable[[int], Samples], events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thresher.training.loop.STEPS_A_REPORT", 1)
    config = Training(optimizer=Sgd(lr=0.5), schedule=Cosine(), epochs=2, batch_size=8)
    train(network, halves(24), halves(8), config, "float")
    rates = [event.learning_rate for event in events if isinstance(event, TrainingStep)]
    assert rates == [0.5 * factor for factor in factors(Cosine(), 6)]


def test_the_last_step_of_a_cosine_changes_nothing(network: Network, halves: Callable[[int], Samples]) -> None:
    config = Training(optimizer=Sgd(lr=0.5), schedule=Cosine(), epochs=3, batch_size="full", keep="last")
    shorter = config.model_copy(update={"early_stopping": None})
    trained, history = train(network, halves(24), halves(8), shorter, "float")
    weights = [parameter.clone() for parameter in trained.parameters()]
    # Two steps with the rates of the first two: the third had a rate of 0.
    learned = network
    torch.manual_seed(config.seed)
    optimizer = torch.optim.SGD(learned.parameters())
    for factor in factors(Cosine(), 3)[:2]:
        optimizer.param_groups[0]["lr"] = 0.5 * factor
        learned.train()
        samples = halves(24)
        loss = torch.nn.functional.cross_entropy(
            learned(torch.from_numpy(samples.inputs)), torch.from_numpy(samples.labels)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for weight, expected in zip(weights, learned.parameters(), strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-4, atol=1e-5)
    assert len(history.epochs) == 3
