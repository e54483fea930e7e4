"""What each kind of result becomes in MLflow."""

from __future__ import annotations

import json
import tempfile
import time
from functools import singledispatch
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.tracking.fluent import log_metrics

from thresher.contracts.report import ContractReport
from thresher.evaluation.challenge import Challenge
from thresher.evaluation.verdict import Verdict
from thresher.modalities.fingerprint import DataFingerprint
from thresher.progress import Event, Step, TrainingEpoch, TrainingStep
from thresher.tracking.models import as_input, data_sets
from thresher.tracking.run import run_id


@singledispatch
def log(value: Any, name: str) -> None:
    """Log ``value``, which a node gave the dataset ``name``; what MLflow has no place for is passed over."""


@log.register
def _(value: ContractReport, name: str) -> None:
    _client().log_text(run_id(), value.model_dump_json(indent=2), "contract/report.json")
    _client().set_tag(run_id(), "contract", "holds" if value.success else "broken")


@log.register
def _(value: DataFingerprint, name: str) -> None:
    inputs = [as_input(data_set, context) for context, data_set in data_sets(name.partition(".")[0], value).items()]
    _client().log_inputs(run_id(), datasets=inputs)
    _client().set_tag(run_id(), "data_hash", value.train_sha256)


@log.register
def _(value: Verdict, name: str) -> None:
    from thresher.evaluation.table import verdict_markdown

    _client().log_text(run_id(), value.model_dump_json(indent=2), "verdict/verdict.json")
    _client().log_text(run_id(), verdict_markdown(value) + "\n", "verdict/verdict.md")
    _client().set_tag(run_id(), "winner", value.winner or "none")
    # The name stands in every list of runs: there it says more than a random one.
    _client().set_tag(run_id(), "mlflow.runName", f"{value.winner} wins" if value.winner else "nobody qualifies")
    if value.winner:
        won = value.of(value.winner).metrics
        log_metrics({f"winner.{metric}": interval.value for metric, interval in won.items()}, run_id=run_id())


@log.register
def _(value: Challenge, name: str) -> None:
    _client().set_tag(run_id(), "challenge", ("won: " if value.replaces else "lost: ") + value.reason)


@log.register
def _(value: str, name: str) -> None:
    if name.endswith(".model_card"):
        _client().log_text(run_id(), value, "verdict/model_card.md")
        _client().set_tag(run_id(), "mlflow.note.content", value)
    if name.endswith(".bento"):
        _client().set_tag(run_id(), "bento", value)


@log.register
def _(value: dict, name: str) -> None:
    if name.endswith(".data_docs"):
        with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
            for path, content in value.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_bytes(content)
            _client().log_artifacts(run_id(), folder, "contract")


def log_figure(figure: Any, name: str) -> None:
    """Log a matplotlib figure under verdict/."""
    _client().log_figure(run_id(), figure, f"verdict/{name.rpartition('.')[2]}.png")


def log_event(event: Event) -> None:
    """Log the losses and accuracies of a training while it goes on."""
    if isinstance(event, Step):
        return
    now = int(time.time() * 1000)
    _client().log_batch(run_id(), [Metric(key, value, now, event.step) for key, value in _curve(event).items()])


def log_recipe(recipe: dict[str, Any]) -> None:
    """Log the recipe as it was run, every default and overlay in it."""
    _client().log_text(run_id(), json.dumps(recipe, indent=2), "recipe.json")


def _curve(event: TrainingStep | TrainingEpoch) -> dict[str, float]:
    if isinstance(event, TrainingStep):
        return {f"{event.training}.loss": event.loss}
    return {
        f"{event.training}.epoch_loss": event.training_loss,
        f"{event.training}.validation_loss": event.validation_loss,
        f"{event.training}.validation_accuracy": event.validation_accuracy,
    }


def _client() -> MlflowClient:
    return MlflowClient()
