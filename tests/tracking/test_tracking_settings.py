"""Where runs go: conf/<env>/mlflow.yml within the project, and the environment variable before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from thresher.tracking.settings import SettingsError, resolve

PROJECT = Path("/somewhere/my project")


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_default_is_a_file_and_a_folder_of_the_project() -> None:
    settings = resolve({}, PROJECT)
    assert settings.tracking_uri == "sqlite:////somewhere/my project/mlflow.db"
    assert settings.artifact_folder == "file:///somewhere/my%20project/mlartifacts"
    assert settings.system_metrics


def test_absolute_file_is_left_alone() -> None:
    settings = resolve({"tracking_uri": "sqlite:////data/mlflow.db", "artifact_folder": "/data/files"}, PROJECT)
    assert settings.tracking_uri == "sqlite:////data/mlflow.db"
    assert settings.artifact_folder == "file:///data/files"


@pytest.mark.parametrize("uri", ["http://localhost:5000", "postgresql://me@db/mlflow", "databricks"])
def test_server_decides_about_artifacts_itself(uri: str) -> None:
    settings = resolve({"tracking_uri": uri}, PROJECT)
    assert (settings.tracking_uri, settings.artifact_folder) == (uri, None)


def test_variable_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    settings = resolve({"tracking_uri": "sqlite:///mlflow.db", "artifact_folder": "mlartifacts"}, PROJECT)
    assert (settings.tracking_uri, settings.artifact_folder) == ("http://tracker:5000", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert resolve({}, PROJECT).tracking_uri == f"sqlite:///{PROJECT}/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert resolve({}, PROJECT).tracking_uri == f"sqlite:///{PROJECT}/mlflow.db"


@pytest.mark.oddity("Runs", "a project in a folder with ? or %20 in its name", "said; MLflow would write elsewhere")
@pytest.mark.parametrize("name", ["what?", "my%20project"])
def test_path_that_no_address_of_a_store_can_hold_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"cannot hold the path of this project.*Fix: rename the folder"):
        resolve({}, Path("/somewhere") / name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert resolve({}, Path("/somewhere") / name).tracking_uri == "http://tracker:5000"


@pytest.mark.parametrize("name", ["100% ü", "a#b", "it's; so"])
def test_other_signs_in_the_path_are_fine(name: str) -> None:
    assert resolve({}, Path("/somewhere") / name).tracking_uri == f"sqlite:////somewhere/{name}/mlflow.db"


def test_unknown_key_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"traking_uri.*Allowed keys: tracking_uri"):
        resolve({"traking_uri": "http://localhost"}, PROJECT)
