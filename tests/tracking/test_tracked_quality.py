"""What MLflow holds of a candidate and of the winner speaks of the recipe's own task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.any_modality import make_encoder
from helpers.tiny_onnx import make_sum_onnx
from mlflow import MlflowClient

from thresher.evaluation.cost import Cost
from thresher.evaluation.evaluation import Evaluation
from thresher.evaluation.footprint import Footprint
from thresher.evaluation.latency import Latency
from thresher.evaluation.quality import Quality, measure_quality
from thresher.evaluation.selection import Selection
from thresher.evaluation.verdict import judge
from thresher.modalities.fingerprint import DataFingerprint
from thresher.progress import TrainingStep
from thresher.tracking import logs, models
from thresher.tracking.run import end_run, run_id, start_run
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
    data_set = models.data_sets("small", data)["evaluation"]
    for quality, own, others in (
        (VALUES, {"rmse", "mae", "r2", "rmse_increase"}, {"accuracy", "accuracy_drop"}),
        (CLASSES, {"accuracy", "accuracy_drop", "mcnemar_p"}, {"rmse", "r2"}),
    ):
        encoder = make_encoder("image", quality.kind)
        onnx_file = make_sum_onnx(encoder.model_input, len(encoder.class_names))
        model_id = models.provide_candidate("small", "float", onnx_file, encoder)
        evaluation = make_evaluation(quality)
        models.log_evaluation(model_id, evaluation, evaluation, data_set)
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
    note = logs.shorten_note(card)
    assert len(note) <= logs.NOTE_CHARACTERS and note.endswith(logs.NOTE_END)
    assert card.startswith(note.removesuffix(logs.NOTE_END) + "\n## Part")
    assert logs.shorten_note("# digits\n") == "# digits\n"
