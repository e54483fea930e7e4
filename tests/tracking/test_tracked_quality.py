"""What MLflow holds of a candidate and of the winner speaks of the recipe's own task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from helpers.any_modality import make_encoder
from helpers.tiny_onnx import make_sum_onnx
from kedro.io import DataCatalog, MemoryDataset
from mlflow import MlflowClient

from thresher.evaluation.cost import Cost
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.footprint import Footprint
from thresher.evaluation.judge import judge
from thresher.evaluation.latency import Latency
from thresher.evaluation.quality import Quality, measure_quality
from thresher.evaluation.selection import Selection
from thresher.events import TrainingStep
from thresher.modalities.fingerprint import DataFingerprint
from thresher.tracking import entries, logs, models, results
from thresher.tracking.reused import link_runs
from thresher.tracking.run import end_run, start_run
from thresher.tracking.run_context import run_id
from thresher.tracking.settings import TrackingSettings

pytestmark = pytest.mark.slow

CLASSES = measure_quality(np.eye(2), np.eye(2), np.array([0, 0]))
VALUES = measure_quality(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), np.array([1.0, 2.0]))


@pytest.fixture
def tracked(tmp_path: Path, own_mlflow: None) -> Iterator[None]:
    files = (tmp_path / "files").as_uri()
    settings = TrackingSettings(
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", artifact_folder=files, system_metrics=False
    )
    start_run(settings, "small", {"seed": 1}, {"recipe": "small"})
    yield
    end_run("FINISHED")


def make_evaluation(quality: Quality, candidate: str = "half") -> Evaluation:
    return Evaluation(
        candidate=candidate,
        reference="float",
        quality=quality,
        cost=Cost(size_bytes=9, compressed_bytes=8, num_parameters=7, macs=6),
        footprint=Footprint(
            peak_memory_bytes=9, reference_peak_memory_bytes=9, load_ms=2, reference_load_ms=2, load_ratios=(1.0,) * 5
        ),
        latencies=(
            Latency(
                batch_size=1, p50=0.1, p90=0.15, p99=0.2, reference_p50=0.1, num_calls=50, round_ratios=(1.0,) * 10
            ),
        ),
        machine={"processor": "x"},
        onnxruntime_version="1",
        measured_at="2026-01-01",
    )


def test_metrics_are_the_tasks_own(tracked: None) -> None:
    data = DataFingerprint(
        train_sha256="a" * 64, test_sha256="b" * 64, num_train_samples=2, num_test_samples=2, class_names=()
    )
    for quality, own, others in (
        (VALUES, {"rmse", "mae", "r2", "rmse_increase"}, {"accuracy", "accuracy_drop"}),
        (CLASSES, {"accuracy", "accuracy_drop", "mcnemar_p"}, {"rmse", "r2"}),
    ):
        encoder = make_encoder("image", quality.kind)
        onnx_file = make_sum_onnx(encoder.model_input, len(encoder.class_names))
        given = {"small.fingerprint": data, "small.encoder": encoder}
        given |= {"params:small.calibrate": None, "params:small.decision": None}
        given |= {"small.float.onnx": onnx_file, "small.half.onnx": onnx_file}
        catalog = DataCatalog({name: MemoryDataset(value) for name, value in given.items()})
        evaluations = {"one": make_evaluation(quality, "float"), "other": make_evaluation(quality)}
        results.log_candidates("small", evaluations, catalog)
        model_id = models.provide_candidate("small", "half", onnx_file, encoder)
        metrics = {metric.key: metric.value for metric in MlflowClient().get_logged_model(model_id).metrics or ()}
        loss = "rmse_increase" if quality.kind == "regression" else "accuracy_drop"
        assert own | {f"{loss}_upper", "size_bytes"} <= metrics.keys()
        assert not others & metrics.keys()
        assert metrics[f"{loss}_upper"] == quality.loss(0.95).upper
    verdict = judge("small", {"float": make_evaluation(VALUES, "float")}, Selection())
    logs.log(verdict, "small.verdict")
    run = MlflowClient().get_run(run_id()).data
    assert run.metrics["winner.rmse"] == pytest.approx(0.5**0.5)
    assert run.metrics["winner.rmse_increase"] == 0  # beside itself
    assert "winner.accuracy" not in run.metrics


def test_an_ended_run_has_the_whole_of_its_curves(tracked: None) -> None:
    run = run_id()
    for number in (1, 2, 3):  # within a second: they wait for a call that the end of the run must make
        logs.log_event(TrainingStep("float", number, 3, 0.5, 0.1))
    end_run("KILLED")
    assert [metric.step for metric in MlflowClient().get_metric_history(run, "float.loss")] == [1, 2, 3]
    assert MlflowClient().get_run(run).info.status == "KILLED"


def test_a_long_model_card_is_cut_between_sections() -> None:
    section = "\n## Part {}\n\n" + 100 * "ten letters" + "\n"
    card = "# digits\n" + "".join(section.format(number) for number in range(9))
    note = entries.shorten_note(card, 7000)
    assert len(note) <= 7000 and note.endswith(entries.NOTE_END)
    assert card.startswith(note.removesuffix(entries.NOTE_END) + "\n## Part")
    assert entries.shorten_note("# digits\n", 7000) == "# digits\n"
    head = "# digits\n" + "a line of the first section\n" * 900
    assert head.startswith(entries.shorten_note(head, 7000).removesuffix(entries.NOTE_END) + "\n")


@pytest.mark.oddity("Runs", "a model card longer than MLflow's description of a run", "it is cut at a line")
def test_a_description_is_never_cut_by_mlflow(tracked: None) -> None:
    card = "# digits\n" + "".join(f"\n## Part {number}\n\n" + 90 * "ten letters" for number in range(30))
    logs.log(card, "small.model_card")
    first = MlflowClient().get_run(run_id()).data.tags[entries.NOTE]
    assert len(first) <= entries.MAX_TAG and first.endswith(entries.NOTE_END)
    nodes = [f"candidate_{each}.evaluate_candidate" for each in range(40)]
    link_runs({("1", f"{number:032}"): nodes for number in range(9)})
    tags = MlflowClient().get_run(run_id()).data.tags
    note = tags[entries.NOTE]
    assert len(note) <= entries.MAX_TAG and tags["reused_from"].count(",") == 8
    assert "## Reused from earlier runs" in note and note.endswith("names them, `plan.txt` the nodes\n")
    assert note.count("More of it: `verdict/model_card.md`") == 1
    assert mlflow.artifacts.load_text(f"runs:/{run_id()}/verdict/model_card.md") == card
