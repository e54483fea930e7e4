"""The verdict: the least of one metric among those that keep every bound, and a sentence for everyone else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.judge import judge
from thresher.evaluation.selection import Requirement, Selection, Slices
from thresher.evaluation.verdict import Verdict

Evaluate = Callable[..., Evaluation]


def verdict_over(*evaluations: Evaluation, **selection: Any) -> Verdict:
    named = {evaluation.candidate: evaluation for evaluation in evaluations}
    return judge("digits", named, Selection.model_validate(selection))


def reasons(verdict: Verdict) -> dict[str, str]:
    return {judged.candidate: judged.reason for judged in verdict.candidates}


def test_the_fastest_that_qualifies_wins_and_the_others_are_told_why_not(evaluation: Evaluate) -> None:
    verdict = verdict_over(
        evaluation(),
        evaluation("half", 0.5, size_bytes=400),
        evaluation("quarter", 0.25, lost=60),
        evaluation("int8", 2.5),
        require={"accuracy_drop": {"at_most": 0.05}},
    )
    assert verdict.winner == "half"
    assert [judged.candidate for judged in verdict.candidates] == ["float", "half", "quarter", "int8"]
    assert [judged.qualifies for judged in verdict.candidates] == [True, True, False, False]
    assert [judged.wins for judged in verdict.candidates] == [False, True, False, False]
    assert reasons(verdict) == {
        "float": "slower than half: 100 us against 50 us",
        "half": "least latency_ms_p50: 2.00x as fast as float, 2.5x as small",
        "quarter": "accuracy_drop 0.0600 > 0.0500",
        "int8": "slower than float: 250 us against 100 us",
    }


def test_float_wins_where_nothing_is_measurably_faster(evaluation: Evaluate) -> None:
    verdict = verdict_over(evaluation(), evaluation("half", 0.99, spread=0.05))
    assert verdict.winner == "float"
    assert reasons(verdict) == {
        "float": "least latency_ms_p50",
        "half": "not measurably faster than float: 99 us against 100 us",
    }


def test_the_winner_of_another_metric_is_not_called_faster_within_the_noise(evaluation: Evaluate) -> None:
    same, slow = (evaluation("half", ratio, 0.05, size_bytes=500) for ratio in (0.99, 2.0))
    assert reasons(verdict_over(evaluation(), same, minimize="size_bytes"))["half"] == (
        "least size_bytes: not measurably faster or slower than float, 2.0x as small"
    )
    assert reasons(verdict_over(evaluation(), slow, minimize="size_bytes"))["half"] == (
        "least size_bytes: 0.50x as fast as float, 2.0x as small"
    )


def test_of_two_within_the_noise_none_is_called_slower(evaluation: Evaluate) -> None:
    verdict = verdict_over(evaluation(), evaluation("one", 0.5, 0.02), evaluation("two", 0.51, 0.02))
    assert (verdict.winner, reasons(verdict)["two"]) == ("one", "no faster than one: 51 us against 50 us")
    verdict = verdict_over(evaluation(), evaluation("one", 0.5, 0.002), evaluation("two", 0.6, 0.002))
    assert reasons(verdict)["two"] == "slower than one: 60 us against 50 us"


def test_the_winners_speed_is_that_at_the_batch_size_that_is_minimized(evaluation: Evaluate) -> None:
    half = evaluation("half", 0.5)
    faster = half.latencies[1].model_copy(update={"round_ratios": (0.25,) * 10})
    half = half.model_copy(update={"latencies": (half.latencies[0], faster)})
    verdict = verdict_over(evaluation(), half, minimize="latency_ms_p90_batch32")
    assert reasons(verdict)["half"] == "least latency_ms_p90_batch32: 4.00x as fast as float, 1.0x as small"


@pytest.mark.parametrize(
    ("minimize", "figures", "reason"),
    [
        ("peak_memory_bytes", {"memory": 9_000_000}, "more memory than half: 10,000,000 bytes against 9,000,000 bytes"),
        ("load_ms", {"load": 0.5}, "slower to load than half: 2.00 ms against 1.00 ms"),
        ("energy_joules_batch32", {"energy": 0.5}, "more energy than half: 1 mJ against 500 uJ"),
    ],
)
def test_what_a_session_takes_can_be_minimized(
    minimize: str, figures: dict[str, Any], reason: str, evaluation: Evaluate
) -> None:
    verdict = verdict_over(evaluation(energy=1.0), evaluation("half", **({"energy": 1.0} | figures)), minimize=minimize)
    assert (verdict.winner, reasons(verdict)["float"]) == ("half", reason)


def test_nobody_qualifies_by_what_was_not_measured(evaluation: Evaluate) -> None:
    for selection in ({"minimize": "energy_joules"}, {"require": {"energy_joules": {"at_most": 1}}}):
        verdict = verdict_over(evaluation(), evaluation("half", 0.5), **selection)
        assert verdict.winner is None
        assert set(reasons(verdict).values()) == {"energy_joules was not measured"}


def test_it_must_be_faster_at_the_batch_size_that_is_minimized(evaluation: Evaluate) -> None:
    half = evaluation("half", 0.5)
    slow_in_batches = half.latencies[1].model_copy(update={"p50": 6.4, "round_ratios": (2.0,) * 10})
    half = half.model_copy(update={"latencies": (half.latencies[0], slow_in_batches)})
    assert verdict_over(evaluation(), half).winner == "half"
    verdict = verdict_over(evaluation(), half, minimize="latency_ms_p50_batch32")
    assert reasons(verdict)["half"] == "slower than float: 6.40 ms against 3.20 ms"
    tail = verdict_over(evaluation(), half, minimize="latency_ms_p99")
    assert tail.winner == "half"


@pytest.mark.parametrize(
    ("metric", "requirement", "reason"),
    [
        ("accuracy_drop", {"at_most": 0.019}, "accuracy_drop 0.0200 > 0.0190"),
        ("accuracy_drop", {"at_most": 0.02, "confidence": 0.9}, "accuracy_drop 0.0200, upper bound 0.0285 > 0.0200"),
        ("accuracy", {"at_least": 0.9}, "accuracy 0.8800 < 0.9000"),
        ("size_bytes", {"at_most": 999}, "size_bytes 1,000 bytes > 999 bytes"),
        ("peak_memory_bytes", {"at_most": 5e6}, "peak_memory_bytes 10,000,000 bytes > 5,000,000 bytes"),
        ("load_ms", {"at_most": 1.5}, "load_ms 2.00 ms > 1.50 ms"),
        ("throughput_batch32", {"at_least": 30_000}, "throughput_batch32 20,000 samples/s < 30,000 samples/s"),
        ("compressed_bytes", {"at_most": 899}, "compressed_bytes 900 bytes > 899 bytes"),
        ("num_parameters", {"at_most": 99}, "num_parameters 100 > 99"),
        ("macs", {"at_most": 4999}, "macs 5,000 > 4,999"),
        ("latency_ms_p50", {"at_most": 0.04}, "latency_ms_p50 50 us > 40 us"),
        ("latency_ms_p99_batch32", {"at_most": 3}, "latency_ms_p99_batch32 3.20 ms > 3.00 ms"),
        ("speedup", {"at_least": 3}, "speedup 2.00x < 3.00x"),
        ("speedup", {"at_least": 2, "confidence": 0.9}, "speedup 2.00x, lower bound 1.92x < 2.00x"),
    ],
)
def test_every_broken_bound_has_its_sentence(
    metric: str, requirement: dict[str, float], reason: str, evaluation: Evaluate
) -> None:
    half = evaluation("half", 0.5, spread=0.01, lost=30, gained=10)
    verdict = verdict_over(evaluation(), half, require={metric: requirement})
    assert (verdict.of("half").reason, verdict.of("half").qualifies) == (reason, False)


def test_every_broken_bound_of_a_candidate_is_told(evaluation: Evaluate) -> None:
    require = {"macs": {"at_most": 10}, "accuracy": {"at_least": 0.95}}
    verdict = verdict_over(evaluation(), evaluation("int8", 2), require=require)
    assert verdict.of("int8").reason == (
        "macs 5,000 > 10; accuracy 0.9000 < 0.9500; slower than float: 200 us against 100 us"
    )


@pytest.mark.parametrize(
    ("metric", "requirement"),
    [
        ("macs", {"at_most": 5000}),
        ("accuracy", {"at_least": 0.9}),
        ("accuracy_drop", {"at_most": 0, "confidence": 0.95}),
    ],
)
def test_a_bound_that_is_met_exactly_is_kept(metric: str, requirement: dict[str, float], evaluation: Evaluate) -> None:
    assert verdict_over(evaluation(), require={metric: requirement}).winner == "float"


def test_each_bound_is_held_to_its_own_confidence(evaluation: Evaluate) -> None:
    half = evaluation("half", 0.5, spread=0.01)

    def bounds(confidence: float) -> str:
        require = {
            "accuracy_drop": {"at_most": 1, "confidence": 0.6},
            "speedup": {"at_least": 2, "confidence": confidence},
        }
        return verdict_over(evaluation(), half, require=require).of("half").reason

    assert bounds(0.9) == "speedup 2.00x, lower bound 1.92x < 2.00x"
    assert bounds(0.999) < bounds(0.9)


def test_nobody_qualifies_where_float_and_all_others_break_a_bound(evaluation: Evaluate) -> None:
    verdict = verdict_over(evaluation(), evaluation("half", 0.5), require={"size_bytes": {"at_most": 10}})
    assert verdict.winner is None
    assert not any(judged.qualifies or judged.wins for judged in verdict.candidates)
    assert all("size_bytes" in reason for reason in reasons(verdict).values())


@pytest.mark.parametrize(
    ("minimize", "sentence", "least"),
    [
        ("size_bytes", "larger than small: 800 bytes against 400 bytes", ""),
        ("compressed_bytes", "larger, compressed, than small: 900 bytes against 300 bytes",
         "300 bytes against 900 bytes of float; "),
        ("num_parameters", "more parameters than small: 100 against 40", "40 against 100 of float; "),
        ("macs", "more multiply-accumulates than small: 5,000 against 2,000", "2,000 against 5,000 of float; "),
        ("accuracy_drop", "less accurate than small: 0.0200 against -0.0100", "-0.0100; "),
    ],
)  # fmt: skip
def test_what_is_minimized_decides_and_is_named_and_then_slowness_is_no_fault(
    minimize: str, sentence: str, least: str, evaluation: Evaluate
) -> None:
    small = evaluation(
        "small", 3, gained=10, size_bytes=400, compressed_bytes=300, num_parameters=40, macs=2000
    )  # fmt: skip
    quick = evaluation("quick", 0.1, lost=20, size_bytes=800)
    verdict = verdict_over(evaluation(), small, quick, minimize=minimize)
    assert verdict.winner == "small"
    assert reasons(verdict)["quick"] == sentence
    assert reasons(verdict)["small"] == f"least {minimize}: {least}0.33x as fast as float, 2.5x as small"


def test_of_equals_the_first_in_the_recipe_wins(evaluation: Evaluate) -> None:
    verdict = verdict_over(evaluation(), evaluation("one", 0.5), evaluation("two", 0.5))
    assert (verdict.winner, reasons(verdict)["two"]) == ("one", "no faster than one: 50 us against 50 us")
    assert verdict_over(evaluation(), evaluation("same"), minimize="macs").winner == "float"


def test_the_verdict_knows_what_it_was_measured_on(evaluation: Evaluate) -> None:
    verdict = verdict_over(evaluation())
    assert (verdict.recipe, verdict.minimize, verdict.num_test_samples) == ("digits", "latency_ms_p50", 1000)
    assert verdict.machine == {"processor": "a processor", "vnni": "no"}
    assert verdict.days == "2026-01-01"


def test_the_verdict_names_the_first_and_the_last_day_of_its_measurements(evaluation: Evaluate) -> None:
    moments = ("2026-01-02T01:00:00+00:00", "2026-01-05T23:00:00+00:00", "2026-01-03T00:00:00+00:00")
    names = ("float", "one", "two")
    measured = [
        evaluation(name).model_copy(update={"measured_at": moment}) for name, moment in zip(names, moments, strict=True)
    ]
    assert verdict_over(*measured).days == "2026-01-02 to 2026-01-05"


def test_the_verdict_s_confidence_is_the_recipe_s_own_for_what_is_lost(evaluation: Evaluate) -> None:
    assert verdict_over(evaluation()).confidence == 0.95
    require = {"accuracy_drop": {"at_most": 1, "confidence": 0.8}, "speedup": {"at_least": 0.1, "confidence": 0.7}}
    assert verdict_over(evaluation(), require=require).confidence == 0.8


@pytest.mark.parametrize(
    "bound",
    [
        {},
        {"at_most": 1, "at_least": 0},
        {"at_most": float("inf")},
        {"at_least": float("nan")},
        {"at_most": 1, "confidence": 0.5},
        {"at_most": 1, "confidence": 1},
        {"at_most": 1, "confidence": 95},
    ],
)
def test_a_bound_is_one_finite_number_and_a_confidence_lies_between_a_coin_and_certainty(
    bound: dict[str, float],
) -> None:
    with pytest.raises(ValidationError):
        Requirement.model_validate(bound)
    assert Requirement(at_least=0, confidence=0.51).confidence == 0.51


@pytest.mark.parametrize(
    "change",
    [
        {"by": ()},
        {"min_samples": 0},
        {"accuracy_drop": None},
        {"rmse_increase": {"at_most": 1}},
        {"accuracy_drop": {"at_least": 0.1}},
    ],
)
def test_slices_need_a_column_and_one_upper_bound(change: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"by": ["label"], "accuracy_drop": {"at_most": 0.1}}
    with pytest.raises(ValidationError):
        Slices.model_validate(sound | change)
    assert Slices.model_validate(sound | {"min_samples": 1}).min_samples == 1
    other = Slices.model_validate({"by": ["label"], "rmse_increase": {"at_most": 2}})
    assert other.bounds.keys() == {"rmse_increase"}
    assert (other.bounds["rmse_increase"].at_most, other.min_samples) == (2, 30)


def test_a_verdict_survives_json(evaluation: Evaluate) -> None:
    verdict = verdict_over(evaluation(), evaluation("half", 0.5, lost=3))
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


@pytest.mark.parametrize("bounds", [{}, {"at_most": 1, "at_least": 0}, {"confidence": 0.9}, {"at_most": float("inf")}])
def test_a_requirement_has_one_finite_bound(bounds: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Requirement.model_validate(bounds)


def test_a_regression_is_judged_by_its_errors(evaluation: Evaluate) -> None:
    evaluations = (
        evaluation(worse=0.0),
        evaluation("half", 0.5, worse=0.02),
        evaluation("quarter", 0.25, worse=0.2),
    )
    verdict = verdict_over(*evaluations, require={"rmse_increase": {"at_most": 0.5, "confidence": 0.99}})
    assert (verdict.winner, verdict.task, verdict.confidence) == ("half", "regression", 0.99)
    reason = r"rmse_increase 2\.\d+, upper bound 2\.\d+ > 0\.5"
    assert re.fullmatch(reason, reasons(verdict)["quarter"])
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    by_r2 = verdict_over(*evaluations, require={"r2": {"at_least": 0.954}}, minimize="rmse")
    assert reasons(by_r2)["quarter"].startswith("r2 0.9")
    assert by_r2.winner == "float"
    assert reasons(verdict_over(*evaluations, minimize="mae"))["half"].startswith("less accurate than float: ")


def test_a_file_that_is_larger_than_floats_is_told_of(evaluation: Evaluate) -> None:
    larger = evaluation("int8", 0.5, size_bytes=1200)
    assert reasons(verdict_over(evaluation(), larger))["int8"] == (
        "least latency_ms_p50: 2.00x as fast as float, 0.8x as small; "
        "larger than float: 1,200 bytes against 1,000 bytes"
    )
    smallest = reasons(verdict_over(evaluation(), larger, minimize="size_bytes"))["int8"]
    assert smallest == "larger than float: 1,200 bytes against 1,000 bytes"
