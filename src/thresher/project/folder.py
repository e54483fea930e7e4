"""The folder of the project that a command works on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kedro.utils import find_kedro_project

from thresher.errors import ThresherError

LOGGING = "KEDRO_LOGGING_CONFIG"


class ProjectError(ThresherError):
    """There is no project here, or none can be made here."""


def find_project(start: Path | None = None) -> Path:
    """Return the project that ``start`` is in, by default the working directory; subfolders belong to it.

    Raises:
        ProjectError: it is in none.
    """
    start = Path.cwd() if start is None else start.resolve()
    folder = find_kedro_project(start)
    if folder is None:
        raise ProjectError(f"{start} is not inside a Thresher project. Make one: thresher new FOLDER")
    use_logging_of(Path(folder))
    return Path(folder)


def use_logging_of(folder: Path) -> None:
    """Let Kedro log as conf/logging.yml of the project says: Kedro itself finds that file in the working directory."""
    file = folder / "conf" / "logging.yml"
    if LOGGING in os.environ or folder == Path.cwd() or not file.is_file():
        return
    os.environ[LOGGING] = str(file)  # for Kedro in this process, if it is imported later, and in others
    if "kedro.framework.project" in sys.modules:
        import yaml
        from kedro.framework import project

        project.LOGGING.configure(yaml.safe_load(file.read_text(encoding="utf-8")))


def enter_project(folder: Path) -> None:
    """Let Kedro's sessions work on the project in ``folder``, whose src/ can be imported from then on.

    Raises:
        ProjectError: its pyproject.toml is none of a Thresher project.
    """
    use_logging_of(folder)
    from kedro.framework.startup import bootstrap_project

    try:
        bootstrap_project(folder)
    except (RuntimeError, ValueError, NotADirectoryError, ModuleNotFoundError) as error:
        raise ProjectError(f"{folder / 'pyproject.toml'}: {error}") from error
