"""A project whose registry gets versions without a training, and the `thresher` command called in this process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.tiny_onnx import make_sum_onnx
from mlflow import MlflowClient

from thresher.__main__ import main
from thresher.datasets.champion import ChampionDataset, EnteredChallengerDataset
from thresher.modalities.image.encoder import ImageEncoder
from thresher.serving.core.bundle import Bundle, ModelInfo
from thresher.tracking.run import end_run, start_run
from thresher.tracking.settings import TrackingSettings

REPOSITORY = Path(__file__).parents[2]
ENCODER = ImageEncoder(channels=1, mean=(0.0,), std=(1.0,), height=8, width=8, class_names=("even", "odd"))
RECIPE: dict[str, Any] = {
    "task": "classification",
    "data": {"modality": "image", "train": "digits.train", "test": "digits.test"},
    "model": {"kind": "cnn", "channels": [4, 8], "hidden": 16},
}


def make_bundle(scale: float, candidate: str = "half", reason: str = "", max_batch_size: int = 16) -> Bundle:
    """Return a bundle of recipe `small` with a model that answers by ``scale``."""
    info = ModelInfo(
        recipe="small",
        candidate=candidate,
        model_version="",
        mlflow_run_id="",
        data_hash="d" * 64,
        git_commit="c" * 40,
        created=datetime.now(UTC),
        threads=1,
        max_batch_size=max_batch_size,
        max_latency_ms=20,
        metrics={"accuracy": 0.9 + scale, "size_bytes": 1e6 * scale, "latency_ms_p50_batch1": 0.05},
    )
    return Bundle(make_sum_onnx(ENCODER.model_input, 2, scale), ENCODER, info, reason=reason)


@dataclass
class RegistryProject:
    """A project with the recipe `small`; its MLflow is whatever ``tracking_uri`` says."""

    folder: Path
    tracking_uri: str
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        for part in ("conf", "pyproject.toml", "bentofile.yaml"):
            source = REPOSITORY / part
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, self.folder / part)  # type: ignore[operator]
        for name in ("pipelines", "src"):
            (self.folder / name).mkdir()
        self.write_recipe()

    def write_recipe(self, **changes: Any) -> None:
        (self.folder / "pipelines" / "small.yml").write_text(yaml.safe_dump({**RECIPE, **changes}))

    @contextmanager
    def run(self) -> Iterator[None]:
        """Let a run go on, as `kedro run` would."""
        is_local = self.tracking_uri.startswith("sqlite")
        settings = TrackingSettings(
            tracking_uri=self.tracking_uri,
            artifact_folder=(self.folder / "mlartifacts").as_uri() if is_local else None,
            system_metrics=False,
        )
        start_run(settings, "small", {"seed": 1}, {"recipe": "small"})
        try:
            yield
        finally:
            end_run("FINISHED")

    def crown(self, *bundles: Bundle) -> None:
        with self.run():
            for bundle in bundles:
                ChampionDataset("small").save(bundle)

    def enter(self, bundle: Bundle) -> None:
        with self.run():
            EnteredChallengerDataset("small").save(bundle)

    def call(self, *arguments: str) -> tuple[int, str]:
        """Run `thresher ARGUMENTS` and return its exit code and what it printed, with single spaces."""
        self.patch.chdir(self.folder)
        self.patch.setattr(sys, "argv", ["thresher", *arguments])
        self.capture.readouterr()
        try:
            main()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
        printed = self.capture.readouterr()
        return int(code), " ".join((printed.out + printed.err).split())

    def done(self, *arguments: str) -> str:
        code, text = self.call(*arguments)
        assert code == 0, text
        return text

    def refused(self, *arguments: str) -> str:
        code, text = self.call(*arguments)
        assert code == 1, text
        return text

    @property
    def aliases(self) -> dict[str, str]:
        registered = MlflowClient(self.tracking_uri).get_registered_model("small")
        return {alias: str(number) for alias, number in registered.aliases.items()}
