"""The report a person reads at the end, in a wide terminal, a narrow one and a log file."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from thresher.caching.plan import Action, Plan, Planned
from thresher.caching.records import Dependencies, Record
from thresher.contracts.report import ContractReport
from thresher.evaluation.cost import Cost
from thresher.evaluation.decision import ChosenDecision
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.footprint import Footprint
from thresher.evaluation.latency import Latency
from thresher.evaluation.promotion_gate import Challenge
from thresher.evaluation.quality import Quality, measure_quality
from thresher.evaluation.statistics import Interval
from thresher.evaluation.temperature import Calibration
from thresher.evaluation.verdict import Judged, Verdict
from thresher.hooks import report
from thresher.hooks.console import console
from thresher.modalities.decision import DecisionRule
from thresher.pipelines.stage import TIMED
from thresher.training.history import Epoch, TrainingHistory

REASONS = {
    "float": "slower than half_channels_of_every_layer: 64 us against 41 us",
    "half_channels_of_every_layer": "least latency_ms_p50: 1.56x as fast as float, 4.2x as small",
    "int8": "accuracy_drop 0.0090, upper bound 0.0130 > 0.0050; slower than float: 148 us against 64 us",
}
Printed = Callable[[], str]


def exact(value: float) -> Interval:
    return Interval(value=value, lower=value, upper=value, confidence=0.95)


def make_verdict(
    winner: str | None = "half_channels_of_every_layer",
    task: Literal["classification", "regression"] = "classification",
) -> Verdict:
    metrics = {"accuracy": 0.9123, "size_bytes": 123_456.0, "macs": 98_765.0, "speedup": 1.5}
    metrics |= {"rmse": 48_213.7, "mae": 30_000.0, "r2": 0.8213}
    metrics |= {"latency_ms_p50": 0.0641, "latency_ms_p99": 1.25}
    figures = {name: exact(value) for name, value in metrics.items()}
    figures["accuracy_drop"] = Interval(value=-0.001, lower=-0.004, upper=0.002, confidence=0.95)
    figures["rmse_increase"] = Interval(value=-12.5, lower=-40.25, upper=15.125, confidence=0.95)
    candidates = tuple(
        Judged(candidate=name, metrics=figures, qualifies=name != "int8", wins=name == winner, reason=reason)
        for name, reason in REASONS.items()
    )
    return Verdict(
        recipe="shirts",
        task=task,
        minimize="latency_ms_p50",
        candidates=candidates,
        winner=winner,
        machine={"processor": "A [fast] processor"},
        measured=("2026-01-01T09:00:00+00:00", "2026-02-03T09:00:00+00:00"),
        num_test_samples=10_000,
    )


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Printed:
    """Return what was printed so far."""
    file = io.StringIO()
    monkeypatch.setattr(console, "_file", file)
    return file.getvalue


@pytest.mark.parametrize("width", [80, 100, 160])
def test_every_reason_is_readable_at_any_width(width: int, printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", width)
    report.print_verdict(make_verdict())
    text = printed()
    together = " ".join(text.split())
    for candidate, reason in REASONS.items():
        assert reason in together
        assert candidate in text  # whole, in one line
    assert "0.9123" in text
    assert "-0.0010 [-0.0040, +0.0020]" in text
    assert "123.5 kB" in text
    assert "64 us" in text
    assert "1.25 ms" in text
    assert "shirts: half_channels_of_every_layer wins (least latency_ms_p50)" in together
    assert "A [fast] processor" in together
    assert max(map(len, text.splitlines())) <= max(width, 116)


@pytest.mark.parametrize("width", [80, 120, 170])
def test_a_regression_is_shown_by_its_errors(width: int, printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", width)
    report.print_verdict(make_verdict(task="regression"))
    text = printed()
    for figure in ("48,213.7", "-12.5 [-40.25, +15.12]", "0.8213", "R2"):
        assert figure in text
    assert "increase against float, each bound at 95%" in " ".join(text.split())
    assert "accuracy" not in text.replace("accuracy_drop", "")  # which a reason of the fixture names


def test_nobody_qualifies(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 160)
    report.print_verdict(make_verdict(None))
    assert "shirts: no candidate qualifies" in printed()


def make_catalog(challenge: Challenge) -> DataCatalog:
    values = {"verdict": make_verdict(), "bento": "shirts:abc", "challenge": challenge}
    return DataCatalog({f"shirts.{name}": MemoryDataset(value) for name, value in values.items()})


PIPELINE = Pipeline([node(len, "a", f"shirts.{name}", name=name) for name in ("verdict", "bento", "challenge")])


def activate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put this environment's commands on the PATH, as `source .venv/bin/activate` does."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    monkeypatch.delenv("MAKELEVEL", raising=False)  # make test sets it


@pytest.mark.parametrize(("env", "option"), [(None, ""), ("my lab", " --env 'my lab'")])
def test_commands_to_go_on_with(
    printed: Printed, monkeypatch: pytest.MonkeyPatch, env: str | None, option: str
) -> None:
    monkeypatch.setattr(console, "_width", 40)
    activate(monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:////{'deep/' * 20}my runs/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    report.print_result(PIPELINE, make_catalog(Challenge(replaces=True, reason="there was no champion")), env)
    lines = [line.strip() for line in printed().splitlines()]
    # Each in one line, however long, so that it can be copied.
    assert f"look at the runs:     thresher ui{option}" in lines
    page = "http://127.0.0.1:5000/#/experiments/7/models?workflowType=machine_learning"
    assert f"at this address:      {page}" in lines
    assert f"serve it:             thresher serve shirts{option}" in lines
    assert f"build the container:  thresher containerize shirts{option}" in lines
    assert "stays" not in printed()


@pytest.mark.parametrize("is_made", [False, True], ids=["not on the path", "by make alone"])
def test_commands_are_called_by_their_path_where_the_environment_is_not_activated(
    printed: Printed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_made: bool
) -> None:
    monkeypatch.setattr(console, "_width", 200)
    if is_made:
        activate(monkeypatch)
        monkeypatch.setenv("MAKELEVEL", "1")
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    report.print_result(PIPELINE, make_catalog(Challenge(replaces=True, reason="there was no champion")))
    command = printed().partition("serve it:")[2].split()[0]
    assert Path(command).resolve() == Path(sys.executable).with_name("thresher").resolve()


def test_server_is_opened_and_a_champion_that_stays_is_said(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "7")
    challenge = Challenge(replaces=False, reason="worse by recall[spam]: 0.9 against 0.95", champion_version="3")
    report.print_result(PIPELINE, make_catalog(challenge))
    assert "open http://tracker:5000/#/experiments/7/models" in printed()
    assert "The champion, version 3, stays: worse by recall[spam]: 0.9 against 0.95." in printed()


def test_run_without_verdict_prints_nothing(printed: Printed) -> None:
    report.print_result(Pipeline([node(len, "a", "shirts.encoder", name="one")]), DataCatalog({}))
    assert printed() == ""


def make_contract(success: bool) -> ContractReport:
    counts = {"evaluated_expectations": 6.0, "successful_expectations": 6.0 if success else 2.0}
    return ContractReport(
        success=success,
        num_samples=70_000,
        num_samples_by_split={"train": 60_000, "test": 10_000},
        statistics=counts,
        results=[],
        created_at="2026-01-01",
        gx_version="1",
    )


def make_history() -> TrainingHistory:
    epochs = [
        Epoch(epoch=n, step=n, training_loss=1, validation_loss=1, validation_metric=n / 10, seconds=1)
        for n in (1, 2, 3)
    ]
    return TrainingHistory(device="cpu", metric="accuracy", epochs=tuple(epochs), best_epoch=2)


def make_evaluation(quality: Quality, ratios: tuple[float, ...] = (0.64,) * 10, candidate: str = "half") -> Evaluation:
    latency = Latency(
        batch_size=1, p50=0.041, p90=0.05, p99=0.1, reference_p50=0.064, num_calls=50, round_ratios=ratios
    )  # fmt: skip
    return Evaluation(
        candidate=candidate,
        reference="float",
        quality=quality,
        cost=Cost(size_bytes=12_345, compressed_bytes=1, num_parameters=1, macs=1),
        footprint=Footprint(
            peak_memory_bytes=9, reference_peak_memory_bytes=9, load_ms=2, reference_load_ms=2, load_ratios=(1.0,) * 5
        ),
        latencies=(latency,),
        machine={},
        onnxruntime_version="1",
        measured_at="2026-01-01",
    )


CALIBRATED = Calibration(
    candidate="half", temperature=1.5, num_samples=60, log_loss=(0.3, 0.2), expected_calibration_error=(0.1, 0.05)
)
DECIDED = ChosenDecision(
    candidate="half",
    rule=DecisionRule(class_name="very [good]", class_index=1, threshold=0.25, chosen_for="the highest F1"),
    num_samples=60,
    num_of_class=10,
    precision=0.5,
    recall=1,
    f1=2 / 3,
)
ACCURATE = "accuracy 0.5000, 12.3 kB, 41 us"
CLASSES = measure_quality(np.eye(2), np.eye(2), np.array([0, 0]))
VALUES = measure_quality(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (make_evaluation(CLASSES), f"{ACCURATE}, 1.56x as fast as float"),
        (make_evaluation(VALUES), "RMSE 0.7071, R2 -1.0000, 12.3 kB, 41 us, 1.56x as fast as float"),
        (make_evaluation(CLASSES, (0.9, 1.1) * 5), f"{ACCURATE}, not measurably faster or slower than float"),
        (make_evaluation(CLASSES, candidate="float"), ACCURATE),
        (make_contract(True), "contract [green]holds[/]: 6/6 expectations on 70,000 samples"),
        (make_contract(False), "contract [red]is broken[/]: 2/6 expectations on 70,000 samples"),
        (make_history(), "validation accuracy 0.2000 in epoch 2 of 3 on cpu"),
        (Challenge(replaces=True, reason="there was no champion"), "there was no champion"),
        (
            Challenge(replaces=False, reason="slower than the champion", champion_version="3"),
            "the champion, version 3, stays: slower than the champion",
        ),
        (
            CALIBRATED,
            "temperature 1.500 by 60 validation samples: log loss 0.3000 to 0.2000, calibration error 0.1000 to 0.0500",
        ),
        (
            DECIDED,
            r"'very \[good]' where its probability is at least 0.25, chosen for the highest F1: precision 0.5000, "
            "recall 1.0000, F1 0.6667 on 60 validation samples, 10 of the class",
        ),
        (b"a file", ""),
        ("text", ""),
    ],
)
def test_summary_of_a_result(value: Any, says: str) -> None:
    assert report.summarize(value) == says


def test_verdict_says_when_its_figures_were_measured(printed: Printed) -> None:
    report.print_verdict(make_verdict())
    assert "measured 2026-01-01 to 2026-02-03" in " ".join(printed().split())


def test_plan_names_every_node_once_with_its_reason(printed: Printed) -> None:
    nodes = [node(exact, [f"in{i}"], f"out{i}", name=f"node{i}") for i in range(4)]
    record = Record(
        node="node3",
        dependencies=Dependencies(code={}, parameters={}, versions={}, machine={}, raw={}),
        inputs={},
        outputs={},
        run_id="0123456789abcdef",
        experiment_id="1",
        made_at="2026-02-03T09:10:11+00:00",
        seconds=1.0,
        machine={"processor": "A [fast] processor", "cores": "2"},
    )
    planned = (
        Planned(nodes[0], Action.RUN, "training.epochs 10 -> 12"),
        Planned(nodes[1], Action.RUN, "training.epochs 10 -> 12"),
        Planned(nodes[2], Action.CHECK, "node1"),
        Planned(nodes[3].tag(TIMED), Action.REUSE, record=record),
    )
    report.print_plan(Plan("shirts", planned))
    assert printed().splitlines() == [
        "Plan for shirts: 2 of 4 nodes run, 1 more if what they read comes out different, 1 reused from earlier runs",
        "  run    training.epochs 10 -> 12: node0, node1",
        "  maybe  unless node1 gives the same as before: node2",
        "  reused from run 01234567 of 2026-02-03 09:10 UTC, timed on A [fast] processor, 2 cores: node3",
    ]
