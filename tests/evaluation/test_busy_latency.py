"""On a busy machine the ratio is that of what was computed with wider bounds, or there is a reason in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from accounts import make_account

from thresher.evaluation import Measurement, latency
from thresher.evaluation.calls import CallTimes
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.latency import COLD_CACHES, QUIET, RESOLUTION, Latency, TimeCalls, Timed, measure_latency
from thresher.evaluation.promotion_gate import decide
from thresher.evaluation.report.latency_tables import timing_rows
from thresher.evaluation.report.pareto import plot_verdict
from thresher.evaluation.report.speed import plot_speed
from thresher.evaluation.selection import Selection
from thresher.events import Step, subscribe
from thresher.modalities.image.model_input import ImageInput

IMAGE = ImageInput(channels=1, height=2, width=2, mean=(0.0,), std=(1.0,))
INPUTS = np.zeros((4, 1, 2, 2), np.uint8)
ROUNDS = 12
BUSY = "could not be measured: the machine is too busy"
Evaluate = Callable[..., Evaluation]
Turn = Callable[[int, int], CallTimes]
"""From the number of the turn, and of calls, to what they take."""


@dataclass(frozen=True)
class Made(Timed):
    """A model whose calls take what a test says."""

    turn: Turn = field(default=lambda number, calls: CallTimes(np.ones(calls), np.ones(calls), np.zeros(calls, bool)))
    opened: list[int] = field(default_factory=list)

    def open(self, threads: int) -> TimeCalls:
        self.opened.append(threads)
        return lambda places, calls: self.turn(len(self.opened), calls)


def model(turn: Turn) -> Made:
    return Made(b"", INPUTS, IMAGE, turn)


def takes(computed_ms: float, waits_ms: float = 0.0, interrupted: float = 0.0) -> Turn:
    """Calls that compute so long and wait besides, of which a share is interrupted."""

    def turn(number: int, calls: int) -> CallTimes:
        computed = np.full(calls, computed_ms / 1e3)
        cut = np.arange(calls) < round(interrupted * calls)
        return CallTimes(computed + cut * waits_ms / 1e3, computed, cut)

    return turn


def measure(ours: Turn, reference: Turn, threads: int = 1) -> Latency:
    config = Measurement(rounds=ROUNDS, seconds=0.5, batch_sizes=(1,), threads=threads)
    (result,) = measure_latency(model(ours), model(reference), config)
    return result


def test_on_an_idle_machine_the_clock_on_the_wall_counts() -> None:
    result = measure(takes(1), takes(6))
    assert result.speedup(0.95).value == pytest.approx(6)
    assert (result.p50, result.reference_p50) == (pytest.approx(1), pytest.approx(6))
    assert (result.waited, result.margin, result.unmeasured, result.is_busy) == (0, RESOLUTION, "", False)


@pytest.mark.oddity(
    "Verdict",
    "a machine that is busy with other work while models are timed",
    "processor time counts, bounds are wider; or the latency could not be measured, and no requirement on it holds",
)
def test_long_calls_that_are_interrupted_do_not_make_the_short_ones_fast() -> None:
    result = measure(takes(1), takes(6, waits_ms=9, interrupted=1))
    speedup = result.speedup(0.95)
    assert speedup.value == pytest.approx(6)  # on the wall 15
    assert result.reference_p50 == pytest.approx(6)
    assert result.waited == pytest.approx(9 / 15)
    assert result.is_busy
    assert speedup.lower == pytest.approx(6 / (1 + RESOLUTION + COLD_CACHES * 0.6))
    assert speedup.upper == pytest.approx(6 * (1 + RESOLUTION + COLD_CACHES * 0.6))
    assert result.ratio_interval(0.95).upper == pytest.approx((1 + result.margin) / 6)


def test_a_little_other_work_widens_nothing() -> None:
    result = measure(takes(1), takes(6, waits_ms=0.1, interrupted=0.2))
    assert 0 < result.waited < QUIET
    assert result.margin == RESOLUTION


def test_with_more_threads_the_calls_count_that_nothing_interrupted() -> None:
    result = measure(takes(1), takes(6, waits_ms=9, interrupted=0.4), threads=2)
    assert result.speedup(0.95).value == pytest.approx(6)
    assert result.waited == pytest.approx(0.4)
    assert not result.unmeasured


def test_with_more_threads_a_round_is_repeated_whose_calls_were_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "PAUSE_SECONDS", 0.0)
    said: list[str] = []

    def busy_at_first(number: int, calls: int) -> CallTimes:
        return takes(6, waits_ms=60, interrupted=float(number < ROUNDS))(number, calls)

    leave = subscribe(lambda event: said.append(event.text) if isinstance(event, Step) else None)
    result = measure(takes(1), busy_at_first, threads=2)
    leave()
    assert result.speedup(0.95).value == pytest.approx(6)
    assert (len(result.round_ratios), result.unmeasured) == (ROUNDS, "")
    assert said[0] == "the machine is busy: other work interrupts the calls of batch 1; trying again"


def test_where_every_call_of_more_threads_is_interrupted_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "PATIENCE_SECONDS", 0.0)
    result = measure(takes(1), takes(6, waits_ms=9, interrupted=1), threads=4)
    assert result.unmeasured == (
        "could not be measured: the machine is too busy, other work interrupts 100% of the calls. "
        "Run it again when other work is done, or with evaluation.threads below 4."
    )


def test_where_no_clock_takes_the_wait_off_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "has_fine_clock", lambda: False)
    assert "calls wait 60% of their time" in measure(takes(1), takes(6, waits_ms=9, interrupted=1)).unmeasured
    assert not measure(takes(1), takes(6)).unmeasured


@pytest.mark.parametrize(("share", "margin"), [(0.004, RESOLUTION), (0.05, RESOLUTION + 0.1)])
def test_what_the_host_takes_widens_the_bounds(share: float, margin: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.evaluation.calls.StolenTime.share", share)
    result = measure(takes(1), takes(6))
    assert (result.stolen, result.margin) == (share, pytest.approx(margin))


def test_a_host_that_takes_too_much_leaves_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.evaluation.calls.StolenTime.share", 0.3)
    assert "its host keeps 30% of the processors' time for others" in measure(takes(1), takes(6)).unmeasured


def too_busy(evaluation: Evaluation) -> Evaluation:
    latencies = tuple(each.model_copy(update={"unmeasured": BUSY, "waited": 1.0}) for each in evaluation.latencies)
    return evaluation.model_copy(update={"latencies": latencies})


@pytest.mark.parametrize("busy", [{"float"}, {"half"}, {"float", "half"}])
def test_no_requirement_on_a_latency_holds_that_could_not_be_measured(busy: set[str], evaluation: Evaluate) -> None:
    made = {one.candidate: one for one in (evaluation(), evaluation("half", 0.5, size_bytes=500))}
    for name in busy:
        made[name] = too_busy(made[name])
    required = judge("digits", made, Selection.model_validate({"require": {"speedup": {"at_least": 0.1}}}))
    assert required.of("half").reason == f"latency_ms_p50 {BUSY}; speedup {BUSY}"
    assert not required.of("half").qualifies
    # The size is what it is: it can be judged, and no speed is claimed.
    smallest = judge("digits", made, Selection.model_validate({"minimize": "size_bytes"}))
    assert smallest.winner == "half"
    assert smallest.of("half").reason == (
        "least size_bytes: on a machine too busy to compare its speed with that of float, 2.0x as small"
    )


def test_a_champion_stays_where_the_winners_latency_is_not_known(evaluation: Evaluate) -> None:
    ours = too_busy(evaluation("half", 0.5))
    by_latency = decide(ours, evaluation().cost, Selection(), "7")
    assert (by_latency.replaces, by_latency.reason) == (
        False,
        f"not known to be as fast as the champion: latency_ms_p50 {BUSY}",
    )
    assert decide(ours, evaluation().cost, Selection(minimize="size_bytes"), "7").replaces


def test_a_champion_does_not_defend_itself_with_the_noise_of_a_busy_machine(evaluation: Evaluate) -> None:
    slower = evaluation("half", 1.1)
    margins = tuple(each.model_copy(update={"margin": 0.15, "waited": 0.6}) for each in slower.latencies)
    assert not decide(slower, evaluation().cost, Selection(), "7").replaces
    assert decide(slower.model_copy(update={"latencies": margins}), evaluation().cost, Selection(), "7").replaces


def test_a_report_says_which_times_are_of_a_busy_machine(evaluation: Evaluate) -> None:
    account = make_account(evaluation, "classification")
    margins = tuple(each.model_copy(update={"waited": 0.6}) for each in account.evaluations["int8"].latencies)
    evaluations = {
        "float": account.evaluations["float"],
        "half": too_busy(account.evaluations["half"]),
        "int8": account.evaluations["int8"].model_copy(update={"latencies": margins}),
    }
    selection = Selection(minimize="size_bytes")
    account = make_account(
        evaluation,
        "classification",
        evaluations=evaluations,
        selection=selection,
        verdict=judge("digits", dict(evaluations), selection),
    )
    words = {row[0]: row[-1] for row in timing_rows(account)}
    assert words == {
        "float": "the noise",
        "half": BUSY,
        "int8": "slower (busy machine: calls waited 60% of their time)",
    }
    assert plot_verdict(account.verdict, selection).axes[0].get_xlabel().startswith("median latency")
    assert len(plot_speed(account.verdict, evaluations, 1).axes) == 1
