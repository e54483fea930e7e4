"""What a Bento is built from: the project's bentofile.yaml, its own files and the installed package."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

import thresher
from thresher.errors import Problem, RecipeError, ThresherError
from thresher.serving.core.bundle import MODEL_PREFIX

BENTOFILE = "bentofile.yaml"
SERVICE = "thresher.serving.service:Champion"
PACKAGE = "src/thresher/"
"""The path of the package in a Bento and in bentofile.yaml, wherever it is installed."""
TAG = r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?"
MAX_TAG = 63
"""BentoML's rules for the names of models and Bentos."""


class PackagingError(ThresherError):
    """A bundle that BentoML cannot store, or a Bento that cannot be built."""


def check_packaging(project: Path, recipe: str) -> None:
    """Check what the Bento of ``recipe`` will need, before anything is trained.

    Raises:
        PackagingError: the project's bentofile.yaml is missing or packs something else, or BentoML is missing.
        RecipeError: BentoML does not take the recipe's name.
    """
    read_bentofile(project)
    if find_spec("bentoml") is None:
        raise PackagingError("BentoML, which packs the champion, is not installed. Fix: pip install bentoml.")
    if problems := check_name(recipe):
        raise RecipeError(recipe, problems)


def check_name(recipe: str) -> list[Problem]:
    """Return why BentoML would not take ``recipe`` as the name of a Bento, and of the model in it."""
    name = MODEL_PREFIX + recipe
    if len(name) <= MAX_TAG and re.fullmatch(TAG, name):
        return []
    rule = f"at most {MAX_TAG - len(MODEL_PREFIX)} characters, the last of them a letter or a digit"
    file = f"pipelines/{recipe}.yml"
    return [Problem(file, "BentoML does not take the recipe's name for a Bento", f"Fix: rename {file}: {rule}.")]


def read_bentofile(project: Path) -> dict[str, Any]:
    """Return what the project's bentofile.yaml says.

    Raises:
        PackagingError: it is not there, cannot be read, or packs something else than Thresher's service.
    """
    path = project / BENTOFILE
    fix = f"Fix: take {BENTOFILE} of a new project (thresher new FOLDER)."
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PackagingError(f"{path}: no such file; it says what a Bento holds. {fix}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PackagingError(f"{path}: cannot be read: {error}. {fix}") from error
    if not isinstance(content, dict) or content.get("service") != SERVICE:
        raise PackagingError(f"{path}: service is not {SERVICE}. {fix}")
    patterns = [*(content.get("include") or ()), *(content.get("exclude") or ())]
    if not any(str(pattern).startswith(PACKAGE) for pattern in patterns):
        raise PackagingError(f"{path}: include names nothing of {PACKAGE}. {fix}")
    return content


def packed_files(project: Path) -> dict[str, Path]:
    """Return the files that a Bento of ``project`` holds: place in the Bento's build context -> file.

    Raises:
        PackagingError: as `read_bentofile` does.
    """
    bentofile = read_bentofile(project)
    found = {place: path for pattern in bentofile["include"] for place, path in _match(project, str(pattern))}
    for pattern in bentofile.get("exclude") or ():
        for place, _ in _match(project, str(pattern)):
            found.pop(place, None)
    return dict(sorted(found.items()))


def context_files(project: Path) -> dict[str, Path]:
    """Return all files that `bentoml build` reads: what is packed, bentofile.yaml, and the files that it names.

    Raises:
        PackagingError: as `read_bentofile` does.
    """
    settings = {key: value for key, value in read_bentofile(project).items() if key not in ("include", "exclude")}
    named = {name: project / name for name in _texts(settings) if (project / name).is_file()}
    return {**named, **packed_files(project), BENTOFILE: project / BENTOFILE}


@contextmanager
def build_context(project: Path) -> Iterator[Path]:
    """Yield a folder that `bentoml build` builds from, as if the package's source were in the project."""
    with TemporaryDirectory(prefix="thresher-") as name:
        context = Path(name)
        for place, path in context_files(project).items():
            (context / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, context / place)  # a link would be packed as a link
        yield context


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in what bentofile.yaml says: some name files, such as a script of the set-up."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    elif isinstance(value, str) and len(value) < 1000:
        yield value.removeprefix("file:")


def _match(project: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    """Yield places and files that a pattern of bentofile.yaml means."""
    of_package = pattern.startswith(PACKAGE)
    tree = Path(thresher.__file__).resolve().parents[1] if of_package else project
    for path in tree.glob(pattern.removeprefix("src/") if of_package else pattern):
        place = path.relative_to(tree).as_posix()
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"src/{place}" if of_package else place, path
