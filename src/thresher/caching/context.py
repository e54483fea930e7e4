"""A project as one of its environments configures it, for commands that run nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kedro.framework.context import KedroContext
from kedro.framework.session import KedroSession

from thresher.caching.lock import store_lock
from thresher.project.folder import enter_project
from thresher.tracking.server import require_server
from thresher.tracking.store import is_whole, mend_store


@contextmanager
def open_context(folder: Path, environment: str | None) -> Iterator[KedroContext]:
    """Give Kedro's context of the project in ``folder``; within the block, MLflow is that of ``environment``."""
    enter_project(folder)
    with KedroSession.create(folder, env=environment) as session:
        assert isinstance(session, KedroSession)
        context = session.load_context()
        require_server()
        if not is_whole():
            with store_lock(folder):
                mend_store()
        yield context
