"""Where MLflow keeps its runs: conf/<env>/mlflow.yml, or the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from thresher.config import Config, describe_problems
from thresher.errors import ThresherError


class SettingsError(ThresherError):
    """A conf/<env>/mlflow.yml that says what it cannot."""


SQLITE = "sqlite:///"


class TrackingSettings(Config):
    """The content of conf/<env>/mlflow.yml."""

    tracking_uri: str = f"{SQLITE}mlflow.db"
    """A server, or a SQLite file within the project. The variable MLFLOW_TRACKING_URI comes before it."""
    artifact_folder: str | None = "mlartifacts"
    """The folder of artifacts within the project, for a SQLite store; a server decides for itself."""
    system_metrics: bool = True
    """Whether CPU, memory and GPU use are recorded while a run goes on."""


def resolve(settings: dict[str, Any], project: Path) -> TrackingSettings:
    """Return typed settings with the paths of the project made absolute and the environment heeded.

    Raises:
        SettingsError: an unknown key, a value of the wrong type, a project whose path no address of a store can hold.
    """
    try:
        typed = TrackingSettings.model_validate(settings)
    except ValidationError as error:
        raise SettingsError(f"conf/*/mlflow.yml: {describe_problems(error, TrackingSettings)}") from None
    uri = os.environ.get("MLFLOW_TRACKING_URI") or typed.tracking_uri
    if uri.startswith(SQLITE) and not uri.startswith(f"{SQLITE}/"):
        _refuse_unaddressable(project)
        uri = f"{SQLITE}{project / uri.removeprefix(SQLITE)}"
    folder = typed.artifact_folder if uri.startswith(SQLITE) else None
    absolute = (project / folder).as_uri() if folder else None
    return typed.model_copy(update={"tracking_uri": uri, "artifact_folder": absolute})


def _refuse_unaddressable(project: Path) -> None:
    """Raise where an address of SQLite would mean another place: it reads ? as its end, and %20 as a blank."""
    if "?" in str(project) or unquote(str(project)) != str(project):
        what = f"MLflow's address of a store cannot hold the path of this project, {project}, for its '?' or '%'"
        raise SettingsError(f"{what}. Fix: rename the folder, or name a server in MLFLOW_TRACKING_URI.")
