"""The winner takes the champion's place unless it is measurably worse than it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.own_metrics import OwnMetric
from thresher.evaluation.promotion_gate import Challenge, decide
from thresher.evaluation.selection import Selection
from thresher.evaluation.statistics import Resampled

Evaluate = Callable[..., Evaluation]
EQUAL = "no worse than the champion on the same test data"


@pytest.fixture
def challenge(evaluation: Evaluate) -> Callable[..., Challenge]:
    """Let a winner with these figures challenge a champion with the standard ones."""

    def challenge(selection: dict[str, Any] | None = None, **figures: Any) -> Challenge:
        ours, champion = evaluation("half", **figures), evaluation(worse=0.0 if "worse" in figures else None)
        return decide(ours, champion.cost, Selection.model_validate(selection or {}), "7")

    return challenge


@pytest.mark.parametrize("figures", [{}, {"ratio": 0.5}, {"ratio": 1.05}, {"gained": 30}, {"lost": 10, "gained": 8}])
def test_what_is_no_worse_replaces_the_champion(figures: dict[str, Any], challenge: Callable[..., Challenge]) -> None:
    assert challenge(**figures) == Challenge(replaces=True, reason=EQUAL, champion_version="7")


@pytest.mark.parametrize(
    ("require", "replaces"),
    [
        ({}, False),
        ({"accuracy_drop": {"at_most": 0.02}}, True),
        ({"accuracy_drop": {"at_most": 0.02, "confidence": 0.95}}, False),
        ({"accuracy_drop": {"at_most": 0.04, "confidence": 0.95}}, True),
        ({"accuracy_drop": {"at_most": 0.019}}, False),
    ],
)
def test_accuracy_is_held_to_the_recipes_own_bound(
    require: dict[str, Any], replaces: bool, challenge: Callable[..., Challenge]
) -> None:
    result = challenge({"require": require}, lost=25, gained=5, ratio=0.5)
    assert result.replaces is replaces
    if not replaces:
        assert result.reason.startswith(
            "less accurate than the champion: 0.8800 against 0.9000, the drop's upper bound 0.0"
        )


def test_what_is_measurably_slower_does_not_replace_it(challenge: Callable[..., Challenge]) -> None:
    result = challenge(ratio=1.5)
    assert (result.replaces, result.reason) == (False, "slower than the champion: 150 us against 100 us")


def test_slowness_within_the_noise_of_the_rounds_is_no_fault(challenge: Callable[..., Challenge]) -> None:
    assert challenge(ratio=1.1, spread=0.05).replaces


def test_latency_is_compared_at_the_batch_size_that_is_minimized(challenge: Callable[..., Challenge]) -> None:
    result = challenge({"minimize": "latency_ms_p50_batch32"}, ratio=1.5)
    assert result.reason == "slower than the champion: 4.80 ms against 3.20 ms"


@pytest.mark.parametrize(("size", "replaces"), [(1050, True), (1051, False)])
def test_size_is_compared_where_size_is_minimized(
    size: int, replaces: bool, challenge: Callable[..., Challenge]
) -> None:
    result = challenge({"minimize": "size_bytes"}, size_bytes=size, ratio=9.0)
    reason = EQUAL if replaces else "larger than the champion: 1,051 bytes against 1,000 bytes"
    assert (result.replaces, result.reason) == (replaces, reason)


@pytest.mark.parametrize(
    ("minimize", "figures", "reason"),
    [
        (
            "peak_memory_bytes",
            {"memory": 12_000_000},
            "more memory than the champion: 12,000,000 bytes against",
        ),
        ("load_ms", {"load": 1.5}, "slower to load than the champion: 3.00 ms against 2.00 ms"),
        ("energy_joules_batch32", {"energy": 1.5}, "more energy than the champion: 1.5 mJ against 1 mJ"),
        ("energy_joules", {"energy": 1.5}, "more energy than the champion: 1.5 mJ against 1 mJ"),
    ],
)
def test_what_a_session_takes_is_compared_where_it_is_minimized(
    minimize: str, figures: dict[str, Any], reason: str, challenge: Callable[..., Challenge]
) -> None:
    worse = challenge({"minimize": minimize}, **figures)
    assert not worse.replaces
    assert worse.reason.startswith(reason)
    ((name, value),) = figures.items()
    equal = {name: value / 1.5 if value < 2 else 10_500_000}
    assert challenge({"minimize": minimize}, **equal) == Challenge(replaces=True, reason=EQUAL, champion_version="7")


def test_a_champion_that_takes_more_memory_than_is_allowed_is_replaced(challenge: Callable[..., Challenge]) -> None:
    result = challenge({"require": {"peak_memory_bytes": {"at_most": 9e6}}}, memory=8_000_000, ratio=3.0)
    assert (result.replaces, result.reason) == (
        True, "the champion breaks the recipe's bound: peak_memory_bytes 10,000,000 bytes > 9,000,000 bytes"
    )  # fmt: skip


def test_a_champion_that_is_just_within_the_recipes_bound_defends_its_place(
    challenge: Callable[..., Challenge],
) -> None:
    result = challenge({"minimize": "size_bytes", "require": {"size_bytes": {"at_most": 1000}}}, lost=60)
    assert not result.replaces and result.reason.startswith("less accurate than the champion")


@pytest.mark.parametrize(("load", "replaces"), [(1.05, True), (1.06, False)])
def test_loading_may_take_up_to_five_percent_longer(
    load: float, replaces: bool, challenge: Callable[..., Challenge]
) -> None:
    assert challenge({"minimize": "load_ms"}, load=load).replaces is replaces


def test_a_champion_that_breaks_the_recipes_bound_cannot_defend_its_place(challenge: Callable[..., Challenge]) -> None:
    result = challenge({"require": {"size_bytes": {"at_most": 900}}}, size_bytes=800, ratio=3.0, lost=500)
    assert (result.replaces, result.reason) == (
        True, "the champion breaks the recipe's bound: size_bytes 1,000 bytes > 900 bytes"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "unproven", "replaces"),
    [((0.1, 0.3), "", False), ((-0.1, 0.2), "", True), ((0.1, 0.3), "has no value in many resamples", True)],
)
def test_by_a_metric_that_is_minimized_only_a_proven_loss_keeps_the_winner_out(
    losses: tuple[float, float], unproven: str, replaces: bool, evaluation: Evaluate
) -> None:
    quantiles = tuple(np.maximum(np.linspace(*losses, 2001), 0).tolist())  # a lower end of just 0 proves no loss
    loss = Resampled(value=sum(losses) / 2, quantiles=quantiles, num_samples=1000, unproven=unproven)
    selection = Selection.model_validate({"minimize": "log_loss"})
    for measured in (loss, None):
        own = {"log_loss": OwnMetric(value=0.5, reference=0.3, loss=measured)}
        winner = evaluation("half").model_copy(update={"own": own})
        result = decide(winner, evaluation().cost, selection, "7")
        assert result.replaces is (replaces or measured is None)


@pytest.mark.parametrize(
    ("require", "replaces"),
    [
        ({}, False),
        ({"rmse_increase": {"at_most": 1.1}}, True),
        ({"rmse_increase": {"at_most": 1.1, "confidence": 0.95}}, False),
        ({"rmse_increase": {"at_most": 1.2, "confidence": 0.95}}, True),
        ({"rmse_increase": {"at_most": 0.9}}, False),
    ],
)
def test_errors_are_held_to_the_recipes_own_bound(
    require: dict[str, Any], replaces: bool, challenge: Callable[..., Challenge]
) -> None:
    result = challenge({"require": require}, worse=0.1, ratio=0.5)
    assert result.replaces is replaces
    if not replaces:
        begins = "less accurate than the champion: RMSE 11.3 against 10.23, the increase's upper bound 1.1"
        assert result.reason.startswith(begins)


def test_smaller_errors_replace_the_champion(challenge: Callable[..., Challenge]) -> None:
    assert challenge(worse=-0.2).replaces
