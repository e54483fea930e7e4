"""The champion goes into a real MLflow registry and comes back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import onnxruntime
import pytest
from helpers.any_modality import make_encoder
from helpers.struck import terminated_at
from helpers.tiny_onnx import make_sum_onnx
from kedro.io import DatasetError
from mlflow import MlflowClient

from thresher.datasets.champion import ChampionDataset
from thresher.interruption import TerminatedError
from thresher.modalities.encoder import Encoder
from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle, ModelInfo
from thresher.tracking.models import find_champion, provide_candidate
from thresher.tracking.run import end_run, start_run
from thresher.tracking.run_context import TRACKING_URI, run_id
from thresher.tracking.settings import TrackingSettings

pytestmark = pytest.mark.slow

ENCODER = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=8, class_names=tuple("0123456789"))


@pytest.fixture
def tracked(tmp_path: Path, own_mlflow: None) -> Iterator[Path]:
    """A run that goes on, in an MLflow of its own."""
    settings = TrackingSettings(
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        artifact_folder=(tmp_path / "files").as_uri(),
        system_metrics=False,
    )
    start_run(settings, "small", {"training": {"epochs": 1}}, {"recipe": "small"})
    yield tmp_path
    end_run("FINISHED")


def make_bundle(onnx_file: bytes, candidate: str = "half", version: str = "") -> Bundle:
    info = ModelInfo(
        recipe="small",
        candidate=candidate,
        model_version=version,
        mlflow_run_id="",
        data_hash="d" * 64,
        git_commit="c" * 40 + "-dirty",
        created=datetime.now(UTC),
        threads=2,
        max_batch_size=16,
        max_latency_ms=20,
        metrics={"accuracy": 1 / 3, "latency_ms_p50_batch1": 0.0123456789},
    )
    return Bundle(onnx_file, ENCODER, info)


def test_no_champion_is_none(tracked: Path) -> None:
    dataset = ChampionDataset("small")
    assert dataset.load() is None
    assert not dataset.exists()


def test_a_signal_waits_until_the_version_is_registered(tracked: Path, float_onnx: bytes) -> None:
    dataset = ChampionDataset("small")
    with pytest.raises(TerminatedError), terminated_at("INSERT INTO model_versions "):
        dataset.save(make_bundle(float_onnx))
    loaded = dataset.load()
    assert loaded is not None and loaded.onnx_bytes == float_onnx


def test_round_trip_through_the_registry(tracked: Path, float_onnx: bytes) -> None:
    dataset = ChampionDataset("small")
    given = make_bundle(float_onnx)
    dataset.save(given)
    loaded = dataset.load()
    assert loaded is not None
    assert dataset.exists()
    assert loaded.encoder == ENCODER
    assert loaded.info.model_version == "1"
    assert loaded.info.mlflow_run_id == run_id()
    unset = {"model_version", "mlflow_run_id", "created"}
    assert loaded.info.model_dump(exclude=unset) == given.info.model_dump(exclude=unset)
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), np.uint8)
    answers = [
        onnxruntime.InferenceSession(file).run(None, {"image": images})[0] for file in (float_onnx, loaded.onnx_bytes)
    ]
    np.testing.assert_array_equal(*answers)


def test_attachments_belong_to_the_version_and_not_to_the_model(tracked: Path, float_onnx: bytes) -> None:
    dataset, client = ChampionDataset("small"), MlflowClient()
    bundle = make_bundle(float_onnx)
    cards = ({"card.md": b"# First", "verdict.json": b"{}"}, {"card.md": b"# Second"}, {})
    for size, card in enumerate(cards, 1):  # the same model is another version where it is served otherwise
        info = bundle.info.model_copy(update={"max_batch_size": size})
        dataset.save(replace(bundle, attachments=card, info=info))
    versions = sorted(client.search_model_versions("name = 'small'"), key=lambda version: int(version.version))
    assert len({version.source for version in versions}) == 1
    for version, card in zip(versions, cards, strict=True):
        client.set_registered_model_alias("small", "champion", version.version)
        loaded = dataset.load()
        assert loaded is not None
        assert loaded.attachments == card


def test_reigning_champion_saved_again_changes_nothing(tracked: Path, float_onnx: bytes) -> None:
    dataset = ChampionDataset("small")
    dataset.save(make_bundle(float_onnx))
    reigning = dataset.load()
    assert reigning is not None
    dataset.save(reigning)
    assert len(MlflowClient().search_model_versions("name = 'small'")) == 1


def test_new_champion_takes_the_alias_and_the_model_that_the_run_logged(tracked: Path, float_onnx: bytes) -> None:
    dataset = ChampionDataset("small")
    dataset.save(make_bundle(float_onnx))
    logged = provide_candidate("small", "int8", float_onnx, ENCODER)
    dataset.save(make_bundle(float_onnx, candidate="int8"))
    version = find_champion("small")
    assert version is not None
    assert (str(version.version), version.source) == ("2", f"models:/{logged}")
    champion = dataset.load()
    assert champion is not None
    assert (champion.info.candidate, champion.info.model_version) == ("int8", "2")


def test_champions_of_two_recipes_do_not_meet(tracked: Path, float_onnx: bytes) -> None:
    ChampionDataset("small").save(make_bundle(float_onnx))
    assert ChampionDataset("other").load() is None


def test_logged_model_takes_no_metric_of_its_run(tracked: Path, float_onnx: bytes) -> None:
    """Else the Models tab would show one candidate's figures with another's."""
    mlflow.log_metric("float.accuracy", 0.5)
    model = MlflowClient().get_logged_model(provide_candidate("small", "half", float_onnx, ENCODER))
    assert not model.metrics
    run = MlflowClient().get_run(run_id())
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]


def test_the_same_content_is_logged_once_and_linked_by_every_run(tracked: Path, float_onnx: bytes) -> None:
    first = provide_candidate("small", "half", float_onnx, ENCODER)
    maker = run_id()
    end_run("FINISHED")
    settings = TrackingSettings(tracking_uri=mlflow.get_tracking_uri(), system_metrics=False)
    start_run(settings, "small", {"seed": 1}, {"recipe": "small"})
    assert provide_candidate("small", "half", float_onnx, ENCODER) == first
    assert provide_candidate("small", "half", float_onnx, ENCODER) == first
    client = MlflowClient()
    assert [output.model_id for output in client.get_run(run_id()).outputs.model_outputs] == [first]
    assert client.get_logged_model(first).source_run_id == maker != run_id()
    other_classes = ENCODER.model_copy(update={"class_names": tuple("abcdefghij")})
    assert provide_candidate("small", "half", float_onnx, other_classes) != first
    assert provide_candidate("small", "int8", float_onnx, ENCODER) != first


def test_fingerprint_is_which_version_reigns(tracked: Path, float_onnx: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ChampionDataset("small")
    monkeypatch.setenv(TRACKING_URI, f"sqlite:///{tracked}/none_yet.db")
    assert dataset.fingerprint(lambda path: None) == "nobody"
    assert not (tracked / "none_yet.db").exists()  # to look is not to make one
    monkeypatch.delenv(TRACKING_URI)
    assert dataset.fingerprint(lambda path: None) == "nobody"
    dataset.save(make_bundle(float_onnx))
    first = dataset.fingerprint(lambda path: None)
    dataset.save(make_bundle(float_onnx, candidate="int8"))
    assert "nobody" != first != dataset.fingerprint(lambda path: None)


RAW_COLUMNS = {"text": ["text"], "tabular": ["age", "job", "hours"], "series": ["series"]}


def test_champions_of_every_modality_come_back(tracked: Path) -> None:
    for modality, task in (("text", "classification"), ("tabular", "regression"), ("series", "regression")):
        encoder = make_encoder(modality, task)
        onnx_file = make_sum_onnx(encoder.model_input, len(encoder.class_names))
        dataset = ChampionDataset(modality)
        dataset.save(Bundle(onnx_file, encoder, make_bundle(onnx_file).info))
        loaded = dataset.load()
        assert loaded is not None
        assert (loaded.encoder, loaded.onnx_bytes) == (encoder, onnx_file)
        check_signature(modality, encoder)


def check_signature(recipe: str, encoder: Encoder) -> None:
    version = find_champion(recipe)
    assert version is not None
    signature = mlflow.models.get_model_info(f"models:/{recipe}/{version.version}").signature
    assert signature.inputs.input_names() == RAW_COLUMNS[recipe]
    probabilities = [f"probability_{name}" for name in encoder.class_names]
    expected = ["label", "class_index", *probabilities] if probabilities else ["value"]
    assert signature.outputs.input_names() == expected


def test_champion_whose_encoder_is_unknown_says_what_to_do(tracked: Path, float_onnx: bytes) -> None:
    dataset = ChampionDataset("small")
    dataset.save(make_bundle(float_onnx))
    later = ENCODER.model_copy(update={"kind": "hologram"})
    info = make_bundle(float_onnx).info
    dataset.save(Bundle(float_onnx, later, info))
    with pytest.raises(DatasetError, match=r"no encoder that can be read\. Fix: remove the alias"):
        dataset.load()
