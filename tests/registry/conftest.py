"""A project with a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.registry_project import RegistryProject
from helpers.tracking_server import running_server

from thresher.tracking.run_context import TRACKING_URI


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with running_server(tmp_path) as running:
        monkeypatch.setenv(TRACKING_URI, running.address)
        yield running.address


@pytest.fixture
def small(
    tmp_path: Path, own_mlflow: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[RegistryProject]:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    folder = tmp_path / "project"
    folder.mkdir()
    yield RegistryProject(folder, f"sqlite:///{folder}/mlflow.db", capsys, monkeypatch)
