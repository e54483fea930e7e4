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

CURVES = ("loss", "epoch_loss", "validation_loss", "validation_accuracy")
"""Metrics of a training while it goes on: the first by optimizer steps, the others by epochs."""


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
    """Log a figure of matplotlib, or the PNG file that was made of one, under verdict/."""
    file = f"{name.rpartition('.')[2]}.png"
    if not isinstance(figure, bytes):
        _client().log_figure(run_id(), figure, f"verdict/{file}")
        return
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        (Path(folder) / file).write_bytes(figure)
        _client().log_artifact(run_id(), str(Path(folder) / file), "verdict")


def log_plan(text: str) -> None:
    """Log what the run was to do, and why."""
    _client().log_text(run_id(), text, "plan.txt")


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
        values = [event.loss]
    else:
        values = [event.training_loss, event.validation_loss, event.validation_accuracy]
    names = CURVES[:1] if isinstance(event, TrainingStep) else CURVES[1:]
    return {f"{event.training}.{name}": value for name, value in zip(names, values, strict=True)}


def _client() -> MlflowClient:
    return MlflowClient()
