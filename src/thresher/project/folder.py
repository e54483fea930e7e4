"""The folder of the project that a command works on."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import dictConfig
from pathlib import Path
from typing import Any

import yaml
from kedro.utils import find_kedro_project

from thresher.errors import ThresherError

LOGGING = "KEDRO_LOGGING_CONFIG"
OF_OTHERS = re.compile(r"'\(\)'|'class': '(?!logging\.)")
"""What Kedro may forbid, so that it decides: factories, and classes that are not Python's own."""


class ProjectError(ThresherError):
    """There is no project here, or none can be made here."""


def find_project(start: Path | None = None) -> Path:
    """Return the project that ``start`` is in, by default the working directory; subfolders belong to it.

    Raises:
        ProjectError: it is in none, or its conf/logging.yml is no logging configuration.
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

    Without this it prints where its settings are as soon as it is imported, and what is wrong with them in a traceback.

    Raises:
        ProjectError: conf/logging.yml is no logging configuration, or none that Kedro takes.
    """
    folder = Path(find_kedro_project(Path.cwd()) or find_templates())
    _use_logging(folder)
    file = Path(os.environ[LOGGING] if _is_chosen() else _logging_file(folder))
    settings = _read_logging(file)
    with _logging_errors(file):
        if OF_OTHERS.search(repr(settings)):
            import kedro.framework.project  # noqa: F401  # reads it as it is imported
        else:
            dictConfig(settings)


def _use_logging(folder: Path) -> None:
    """Let Kedro log as conf/logging.yml of ``folder`` says: Kedro itself finds that file in the working directory."""
    if _is_chosen():
        return
    file = _logging_file(folder)
    settings = _read_logging(file)
    if file.parents[1] == Path.cwd():
        return
    os.environ[LOGGING] = _set[LOGGING] = str(file)  # for Kedro in this process, if it is imported later, and in others
    if "kedro.framework.project" in sys.modules:
        from thresher.adapters.kedro import use_logging

        with _logging_errors(file):
            use_logging(settings)


_set: dict[str, str] = {}
"""What was put into the environment here, for the project before."""


def _is_chosen() -> bool:
    """Return whether the user's environment says how Kedro logs, whatever the project."""
    return os.environ.get(LOGGING) not in (None, "", _set.get(LOGGING))


def _logging_file(folder: Path) -> Path:
    """Return the project's own, or that of a new project: by Kedro's default, each data set is a message."""
    files = [folder / "conf" / name for name in ("logging.yml", "logging.yaml")]
    return next(filter(Path.is_file, files), find_templates() / "conf" / "logging.yml")


def _read_logging(file: Path) -> dict[str, Any]:
    with _logging_errors(file):
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise TypeError(f"it holds a {type(settings).__name__} where a mapping is expected")
    return settings


@contextmanager
def _logging_errors(file: Path) -> Iterator[None]:
    """Say in a ProjectError what is wrong with the logging configuration in ``file``."""
    try:
        yield
    except (yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, ImportError) as error:
        reasons = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        what = f"{file}: not a logging configuration: {reasons}"
        raise ProjectError(f"{what}\nFix: correct it, or take the one that `thresher new` writes.") from error


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
