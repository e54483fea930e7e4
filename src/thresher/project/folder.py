"""The folder of the project that a command works on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml
from kedro.utils import find_kedro_project

from thresher.errors import ThresherError

LOGGING = "KEDRO_LOGGING_CONFIG"


class ProjectError(ThresherError):
    """There is no project here, or none can be made here."""


def find_project(start: Path | None = None) -> Path:
    """Return the project that ``start`` is in, by default the working directory; subfolders belong to it.

    Raises:
        ProjectError: it is in none, or its conf/logging.yml is not YAML.
    """
    start = Path.cwd() if start is None else start.resolve()
    folder = find_kedro_project(start)
    if folder is None:
        raise ProjectError(f"{start} is not inside a Thresher project. Make one: thresher new FOLDER")
    _use_logging(Path(folder))
    return Path(folder)


def find_templates() -> Path:
    """Return the folder that the templates lie in: in the installed package, or the repository that it runs from."""
    installed = Path(__file__).with_name("templates")
    return installed if installed.is_dir() else Path(__file__).resolve().parents[3]


def configure_logging() -> None:
    """Let Kedro, which is not imported yet, log as the project says, or as a new one would where there is none.

    Without this it prints where its settings are as soon as it is imported.
    """
    _use_logging(find_kedro_project(Path.cwd()) or find_templates())


def _use_logging(folder: Path) -> None:
    """Let Kedro log as conf/logging.yml of ``folder`` says: Kedro itself finds that file in the working directory."""
    file = folder / "conf" / "logging.yml"
    if LOGGING in os.environ or not file.is_file():
        return
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file}: {error}\nFix: correct it, or take the one that `thresher new` writes.") from error
    if folder == Path.cwd():
        return
    os.environ[LOGGING] = str(file)  # for Kedro in this process, if it is imported later, and in others
    if "kedro.framework.project" in sys.modules:
        from thresher.adapters.kedro import use_logging

        use_logging(settings)


def enter_project(folder: Path) -> None:
    """Let Kedro's sessions work on the project in ``folder``, whose src/ can be imported from then on.

    Raises:
        ProjectError: its pyproject.toml is not that of a Thresher project.
    """
    _use_logging(folder)
    from kedro.framework.startup import bootstrap_project

    try:
        bootstrap_project(folder)
    except (RuntimeError, ValueError, NotADirectoryError, ModuleNotFoundError) as error:
        raise ProjectError(f"{folder / 'pyproject.toml'}: {error}") from error
