"""The SQLite file that MLflow keeps a project's runs in, and what it answered: MLflow itself takes seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from thresher.files import Stat, is_settled, replacing_file, stat_of
from thresher.tracking.run_context import NOWHERE, current
from thresher.tracking.settings import SQLITE

Answer = TypeVar("Answer", str, str | None)
BESIDE = ("", "-journal", "-wal", "-shm")
"""What SQLite keeps of one database, by what stands behind its name."""
MEMORY = "store.json"
"""The file in the project's `.thresher` with what the store answered."""


def store_path() -> Path | None:
    """Return the file of the tracking store, where a link leads to; None where it is a server."""
    uri = current().tracking_uri
    return Path(uri.removeprefix(SQLITE)).resolve() if uri.startswith(SQLITE) else None


def registry_is_empty() -> bool:
    """Return whether there is no tracking store yet, without MLflow, which would make one."""
    path = store_path()
    return path is not None and (not path.exists() or path.stat().st_size == 0)


def remembered(question: str, ask: Callable[[], Answer]) -> Answer:
    """Return what ``ask`` gives, or gave when the store was the same file in the same state, asked by this MLflow.

    A server is always asked, and so is a store that was written within the last two seconds.
    """
    path, spool = store_path(), current().spool
    if path is None or not path.exists() or spool == NOWHERE:
        return ask()
    memory, before = spool.with_name(MEMORY), _state(path)
    answers = _read(memory, before)
    if question in answers:
        known: Answer = answers[question]
        return known
    answer = ask()
    if answer is not None and _state(path) == before and all(is_settled(stat) for stat in _stats(path) if stat):
        with replacing_file(memory) as file:
            file.write_text(json.dumps({"state": before, "answers": {**answers, question: answer}}), encoding="utf-8")
    return answer


def _state(path: Path) -> list[Any]:
    """Return what changes when the store does, or the MLflow that reads it."""
    return [version("mlflow"), str(path), *(list(stat) if stat else None for stat in _stats(path))]


def _stats(path: Path) -> list[Stat | None]:
    files = [path.with_name(f"{path.name}{ending}") for ending in BESIDE]
    return [stat_of(file) if file.exists() else None for file in files]


def _read(memory: Path, state: list[Any]) -> dict[str, Any]:
    """Return what is known of the store in ``state``; nothing where the file is another's, or damaged."""
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
        return dict(known["answers"]) if known["state"] == state else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
