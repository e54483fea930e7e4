"""The trials of a search, each as a run nested in the one that searches."""

from __future__ import annotations

import time

from thresher.events import Event, Trial
from thresher.tracking.entries import NestedRun
from thresher.tracking.parameters import as_parameters
from thresher.tracking.spool import send

STATE = "trial_state"


def log_trial(event: Event) -> None:
    """Log a finished trial as a nested run: its settings as parameters, its figures and validation losses by epochs."""
    if not isinstance(event, Trial):
        return
    now = int(time.time() * 1000)
    metrics = [("validation_loss", loss, now, epoch) for epoch, loss in enumerate(event.validation_losses, 1)]
    if event.validation_loss is not None:
        metrics.append(("best_validation_loss", event.validation_loss, now, 0))
    metrics += [(name, value, now, 0) for name, value in event.figures.items()]
    name = f"{event.search} trial {event.number}".strip()
    send(
        NestedRun(
            tags={"mlflow.runName": name, STATE: event.state, "seconds": f"{event.seconds:.1f}"},
            parameters=as_parameters(event.settings),
            metrics=metrics,
            status="FAILED" if event.state == "failed" else "FINISHED",
        )
    )
