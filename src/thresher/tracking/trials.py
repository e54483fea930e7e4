"""The trials of a search, each as a run nested in the one that searches."""

from __future__ import annotations

import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from thresher.progress import Event, Trial
from thresher.tracking.parameters import as_parameters, in_batches
from thresher.tracking.run import PARENT, run_id

STATE = "trial_state"


def log_trial(event: Event) -> None:
    """Log a finished trial as a nested run: its settings as parameters, its figures and validation losses by epochs."""
    if not isinstance(event, Trial):
        return
    client = MlflowClient()
    parent = client.get_run(run_id())
    tags = {PARENT: run_id(), "mlflow.runName": f"{event.search} trial {event.number}".strip(), STATE: event.state}
    child = client.create_run(parent.info.experiment_id, tags=tags).info.run_id
    now = int(time.time() * 1000)
    metrics = [Metric("validation_loss", loss, now, epoch) for epoch, loss in enumerate(event.validation_losses, 1)]
    if event.validation_loss is not None:
        metrics.append(Metric("best_validation_loss", event.validation_loss, now, 0))
    metrics += [Metric(name, value, now, 0) for name, value in event.figures.items()]
    for batch in in_batches(as_parameters(event.settings)):
        client.log_batch(child, params=[Param(name, value) for name, value in batch.items()])
    client.log_batch(child, metrics=metrics, tags=[RunTag("seconds", f"{event.seconds:.1f}")])
    client.set_terminated(child, "FAILED" if event.state == "failed" else "FINISHED")
