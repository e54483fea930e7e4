"""Runs that were killed without a word: no process is left that could end them."""

from __future__ import annotations

import os
import platform

HOST, PROCESS = "host", "process"
CLOCK_S = 5
"""The seconds by which the system's clock may have been set during a run."""


def process_tags() -> dict[str, str]:
    """Return the tags by which a later run finds out whether this one still goes on."""
    return {HOST: platform.node(), PROCESS: str(os.getpid())}


def end_interrupted_runs(experiment_id: str) -> list[str]:
    """Mark as KILLED the runs of an experiment whose process on this machine is gone; return their ids."""
    from mlflow import MlflowClient

    client = MlflowClient()
    query = f"attributes.status = 'RUNNING' AND tags.{HOST} = '{platform.node()}' AND tags.{PROCESS} != ''"
    runs = client.search_runs([experiment_id], query)
    dead = [run.info.run_id for run in runs if _is_gone(int(run.data.tags[PROCESS]), run.info.start_time / 1000)]
    for run_id in dead:
        client.set_terminated(run_id, "KILLED")
    return dead


def _is_gone(process: int, began: float) -> bool:
    """Return whether ``process`` has ended, of a run that began then: one that started later only has its number."""
    import psutil

    try:
        return bool(psutil.Process(process).create_time() > began + CLOCK_S)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:  # another user's, which is there
        return False
