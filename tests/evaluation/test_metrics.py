"""Every metric that a recipe can name is measured, at each batch size and at the float model's clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.metrics import (
    available_metrics,
    find_metric,
    format_value,
    measure_metrics,
    speed_words,
    speedup_beside,
)
from thresher.evaluation.statistics import Interval

Evaluate = Callable[..., Evaluation]


TASKS = pytest.mark.parametrize(("task", "figures"), [("classification", {}), ("regression", {"worse": 0.1})])


@TASKS
def test_what_can_be_named_is_what_is_measured(task: str, figures: dict[str, float], evaluation: Evaluate) -> None:
    measured = measure_metrics(evaluation("half", energy=0.5, **figures), evaluation(energy=1.0), 0.95)
    assert measured.keys() == available_metrics((1, 32), task).keys()


def test_tasks_share_no_metric_of_quality() -> None:
    classification, regression = (available_metrics((), task).keys() for task in ("classification", "regression"))
    assert classification - regression == {"accuracy", "balanced_accuracy", "log_loss", "accuracy_drop", "mcnemar_p"}
    assert regression - classification == {"rmse", "mae", "r2", "rmse_increase"}


def test_a_metric_without_a_batch_size_speaks_of_the_first(evaluation: Evaluate) -> None:
    metrics = measure_metrics(evaluation("half", ratio=0.5), evaluation(), 0.95)
    assert metrics["latency_ms_p50"] == metrics["latency_ms_p50_batch1"]
    assert metrics["latency_ms_p50_batch1"].value == pytest.approx(0.05)
    assert metrics["latency_ms_p50_batch32"].value == pytest.approx(1.6)
    assert metrics["latency_ms_p99_batch32"].value == pytest.approx(3.2)
    assert metrics["speedup_batch32"].value == pytest.approx(2)


def test_latencies_are_brought_to_the_float_models_clock(evaluation: Evaluate) -> None:
    # Timed while the machine was three times as slow: the float model beside it was, too.
    slow, quick = (measure_metrics(evaluation("half", 0.5, clock=clock), evaluation(), 0.95) for clock in (3, 1))
    for name in ("latency_ms_p50", "latency_ms_p99", "latency_ms_p50_batch32", "throughput_batch32", "load_ms"):
        assert slow[name].value == pytest.approx(quick[name].value)


def test_throughput_is_that_of_the_median_call(evaluation: Evaluate) -> None:
    metrics = measure_metrics(evaluation("half", 0.5), evaluation(), 0.95)
    assert metrics["throughput"].value == pytest.approx(1 / 50e-6)
    assert metrics["throughput_batch32"].value == pytest.approx(32 / 1.6e-3)


def test_quantiles_rise(evaluation: Evaluate) -> None:
    metrics = measure_metrics(evaluation("half", 0.5, clock=2), evaluation(), 0.95)
    quantiles = [metrics[f"latency_ms_p{share}_batch32"].value for share in (50, 90, 99)]
    assert quantiles == pytest.approx([1.6, 2.4, 3.2])


def test_load_time_is_the_ratio_to_float_at_its_clock(evaluation: Evaluate) -> None:
    metrics = measure_metrics(evaluation("half", load=0.25, clock=3, memory=123), evaluation(), 0.95)
    assert (metrics["load_ms"].value, metrics["peak_memory_bytes"].value) == (pytest.approx(0.5), 123)


def test_energy_is_a_metric_only_where_both_were_counted(evaluation: Evaluate) -> None:
    counted, uncounted = evaluation("half", energy=0.5), evaluation("half")
    assert measure_metrics(counted, evaluation(energy=2.0), 0.95)["energy_joules_batch32"].value == pytest.approx(1e-3)
    for ours, baseline in ((counted, evaluation()), (uncounted, evaluation(energy=1.0))):
        assert not any(name.startswith("energy") for name in measure_metrics(ours, baseline, 0.95))


def test_a_speed_within_the_noise_is_not_claimed() -> None:
    def words(lower: float, upper: float) -> str:
        return speed_words(Interval(value=1.1, lower=lower, upper=upper, confidence=0.95), "float")

    assert words(1.01, 1.2) == "1.10x as fast as float"
    assert words(0.99, 1.2) == "not measurably faster or slower than float"
    assert speedup_beside("latency_ms_p90_batch8") == "speedup_batch8"
    assert speedup_beside("latency_ms_p50") == "speedup"


def test_latency_and_speedup_never_contradict_each_other(evaluation: Evaluate) -> None:
    # The machine became quicker halfway: the medians of all calls say faster, the rounds in turns say slower.
    bimodal = evaluation("int8", ratio=1.03)
    latencies = tuple(latency.model_copy(update={"p50": 0.9 * latency.reference_p50}) for latency in bimodal.latencies)
    metrics = measure_metrics(bimodal.model_copy(update={"latencies": latencies}), evaluation(), 0.95)
    assert metrics["speedup"].value == pytest.approx(1 / 1.03)
    assert metrics["latency_ms_p50"].value == pytest.approx(1.03 * 0.1)


@TASKS
def test_only_loss_and_speedup_have_an_interval(task: str, figures: dict[str, float], evaluation: Evaluate) -> None:
    half = evaluation("half", ratio=0.5, spread=0.02, lost=20, gained=10, energy=1.0, **figures)
    metrics = measure_metrics(half, evaluation(energy=1.0), 0.9)
    wide = {name for name, interval in metrics.items() if interval.lower < interval.value < interval.upper}
    assert wide == {name for name, metric in available_metrics((1, 32), task).items() if metric.has_interval}
    assert {interval.confidence for interval in metrics.values()} == {0.9}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_metric_is_found_with_and_without_its_batch_size(task: str) -> None:
    for name, metric in available_metrics((1, 32), task).items():
        assert find_metric(name) == metric


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("latency_ms_p50", 0.0644, "64.4 us"),
        ("latency_ms_p99_batch32", 12.345, "12.35 ms"),
        ("speedup_batch1", 1.5, "1.50x"),
        ("accuracy", 0.98765, "0.9877"),
        ("accuracy_drop", -0.0012, "-0.0012"),
        ("rmse", 48213.71, "48,213.7"),
        ("mae", 0.0123456, "0.01235"),
        ("rmse_increase", -12.3456, "-12.35"),
        ("r2", 0.80126, "0.8013"),
        ("size_bytes", 200_000, "200,000 bytes"),
        ("macs", 416_520, "416,520"),
        ("peak_memory_bytes", 15_720_448, "15,720,448 bytes"),
        ("load_ms", 0.5, "500 us"),
        ("load_ms", 12.345, "12.35 ms"),
        ("throughput_batch32", 32 / 1.6e-3, "20,000 samples/s"),
        ("throughput", 7.123, "7.12 samples/s"),
        ("energy_joules", 0.00045, "450 uJ"),
        ("energy_joules_batch32", 0.0123, "12.3 mJ"),
        ("energy_joules", 1234.5, "1,234 J"),
    ],
)
def test_values_are_shown_with_their_unit(metric: str, value: float, text: str) -> None:
    assert format_value(metric, value) == text
