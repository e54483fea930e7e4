"""How long MLflow's client waits for a server."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thresher.tracking.run_context import current

PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
"""Limits of MLflow's client within a run, in place of its own 120 s, 7 times; variables that are set win."""
SHORT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""The same limits once the server is known to be away."""


def be_patient() -> None:
    """Let MLflow's client, in this process and those that it starts, give up soon."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    # Of a server that is away the spool tells once; these would do so at every call.
    for name in ("urllib3.connectionpool", "mlflow.system_metrics"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def being_short() -> Iterator[None]:
    """Let MLflow's client give up at once in the block."""
    before = {name: os.environ.get(name) for name in SHORT}
    os.environ |= SHORT
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def waiting_folders() -> list[Path]:
    """Return the folders of the runs of the project that have entries waiting, which needs no MLflow."""
    folder = current().spool
    return sorted(path for path in folder.iterdir() if any(path.glob("*.json"))) if folder.is_dir() else []
