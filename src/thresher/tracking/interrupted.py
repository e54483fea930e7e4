"""Runs that were killed without a word: no process is left that could end them."""

from __future__ import annotations

import os
import platform

HOST, PROCESS = "host", "process"


def process_tags() -> dict[str, str]:
    """Return the tags by which a later run finds out whether this one still goes on."""
    return {HOST: platform.node(), PROCESS: str(os.getpid())}


def end_interrupted_runs(experiment_id: str) -> list[str]:
    """Mark as KILLED the runs of an experiment whose process on this machine is gone; return their ids."""
    import psutil
    from mlflow import MlflowClient

    client = MlflowClient()
    query = f"attributes.status = 'RUNNING' AND tags.{HOST} = '{platform.node()}' AND tags.{PROCESS} != ''"
    runs = client.search_runs([experiment_id], query)
    dead = [run.info.run_id for run in runs if not psutil.pid_exists(int(run.data.tags[PROCESS]))]
    for run_id in dead:
        client.set_terminated(run_id, "KILLED")
    return dead
