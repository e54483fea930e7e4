"""What each kind of result becomes in MLflow."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from functools import singledispatch
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.tracking.fluent import log_metrics

from thresher.contracts.report import ContractReport
from thresher.evaluation.challenge import Challenge
from thresher.evaluation.slices import SliceComparison
from thresher.evaluation.verdict import Verdict
from thresher.failed import Failed
from thresher.modalities.fingerprint import DataFingerprint
from thresher.models.external.imported import Imported
from thresher.progress import TRIAL, Event, TrainingEpoch, TrainingStep
from thresher.search.result import BudgetSearch
from thresher.search.sensitivity import Sensitivity
from thresher.tracking.models import WINNER_CONTENT, as_input, data_sets
from thresher.tracking.run import run_id
from thresher.training.execution import ChosenExecution
from thresher.training.range_test import RangeTest
from thresher.training.search import SearchResult
from thresher.training.search_table import search_markdown, winner_words

CURVES = ("loss", "learning_rate", "epoch_loss", "validation_loss", "validation_accuracy", "validation_rmse")
"""Metrics of a training while it goes on: the first two by optimizer steps, the others by epochs; of the last two,
the one of its task."""
FIGURES = {
    "verdict_plot": "verdict",
    "search_plot": "search",
    "range_test_plot": "training",
    "budget_plot": "compression",
}
"""Dataset -> the folder among the artifacts of the run."""
SECONDS_A_CALL = 1.0
NOTE_CHARACTERS = 7000
"""A tag of MLflow may have 8000; links to the runs that results were taken from are to come."""
NOTE_END = "\n\nMore of it: `verdict/model_card.md` among the artifacts.\n"
METRICS_A_CALL = 1000  # MLflow's own limit
_CURVES_LOCK = threading.Lock()
_WAITING: list[Metric] = []
_logged_at = [0.0]


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
    if value.baseline:
        log_metrics(
            {f"baseline.{metric}": figure for metric, figure in value.baseline.figures.items()}, run_id=run_id()
        )
    if value.winner:
        won = value.of(value.winner).metrics
        log_metrics({f"winner.{metric}": interval.value for metric, interval in won.items()}, run_id=run_id())


@log.register
def _(value: SliceComparison, name: str) -> None:
    _client().log_text(run_id(), value.model_dump_json(indent=2), "verdict/slices.json")


@log.register
def _(value: Challenge, name: str) -> None:
    _client().set_tag(run_id(), "challenge", ("won: " if value.replaces else "lost: ") + value.reason)
    if value.winner_content:
        _client().set_tag(run_id(), WINNER_CONTENT, value.winner_content)


@log.register
def _(value: str, name: str) -> None:
    if name.endswith(".model_card"):
        _client().log_text(run_id(), value, "verdict/model_card.md")
        _client().set_tag(run_id(), "mlflow.note.content", shorten_note(value))
    if name.endswith(".report"):
        _client().log_text(run_id(), value, "report/report.html")
    if name.endswith(".bento"):
        _client().set_tag(run_id(), "bento", value)


def shorten_note(card: str) -> str:
    """Return as many sections of a model card as MLflow takes as the description of a run."""
    if len(card) <= NOTE_CHARACTERS:
        return card
    whole = card[: NOTE_CHARACTERS - len(NOTE_END)]
    return whole[: whole.rfind("\n## ")] + NOTE_END


@log.register
def _(value: dict, name: str) -> None:
    if name.endswith(".data_docs"):
        with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
            for path, content in value.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_bytes(content)
            _client().log_artifacts(run_id(), folder, "contract")


@log.register
def _(value: Imported, name: str) -> None:
    _client().log_text(run_id(), value.model_dump_json(indent=2), "training/imported.json")
    metrics = {f"float.validation_{value.metric}": value.value}
    log_metrics(metrics, run_id=run_id())


@log.register
def _(value: ChosenExecution, name: str) -> None:
    _client().log_text(run_id(), value.model_dump_json(indent=2), "training/execution.json")


@log.register
def _(value: RangeTest, name: str) -> None:
    _client().log_text(run_id(), value.model_dump_json(indent=2), "training/range_test.json")
    _client().set_tag(run_id(), "learning_rate", f"{value.learning_rate:.3g}")


@log.register
def _(value: SearchResult, name: str) -> None:
    _client().log_text(run_id(), value.model_dump_json(indent=2), "search/result.json")
    _client().log_text(run_id(), search_markdown(value) + "\n", "search/trials.md")
    _client().set_tag(run_id(), "search", winner_words(value))


@log.register
def _(value: BudgetSearch, name: str) -> None:
    _client().log_text(run_id(), value.model_dump_json(indent=2), f"compression/{value.candidate}_search.json")


@log.register
def _(value: Sensitivity, name: str) -> None:
    base = name.split(".")[1]
    _client().log_text(run_id(), value.model_dump_json(indent=2), f"compression/{base}_sensitivity.json")


@log.register
def _(value: Failed, name: str) -> None:
    text = f"{value.candidate} failed in {value.step}: {value.reason}\n{value.traceback}"
    _client().log_text(run_id(), text, f"compression/{value.candidate}_failed.txt")


def log_figure(figure: Any, name: str) -> None:
    """Log a figure of matplotlib, or the PNG file that was made of one, in the folder of its kind."""
    _, *candidate, plot = name.split(".")
    file, place = "_".join((*candidate, plot)) + ".png", FIGURES[plot]
    if not isinstance(figure, bytes):
        _client().log_figure(run_id(), figure, f"{place}/{file}")
        return
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        (Path(folder) / file).write_bytes(figure)
        _client().log_artifact(run_id(), str(Path(folder) / file), place)


def log_plan(text: str) -> None:
    """Log what the run was to do, and why."""
    _client().log_text(run_id(), text, "plan.txt")


def log_event(event: Event) -> None:
    """Log the curves of a training while it goes on: at once where a second has passed since, else with the next."""
    if not isinstance(event, TrainingStep | TrainingEpoch) or event.training.startswith(TRIAL):
        return  # trials have runs of their own
    now = time.time()
    with _CURVES_LOCK:
        _WAITING.extend(Metric(key, value, int(now * 1000), event.step) for key, value in _curve(event).items())
        # A call takes longer than an epoch of a small training.
        due = now - _logged_at[0] >= SECONDS_A_CALL
    if due:
        log_waiting()


def log_waiting() -> None:
    """Log what of the curves waits for the next call."""
    with _CURVES_LOCK:
        while _WAITING:
            batch = _WAITING[:METRICS_A_CALL]
            _client().log_batch(run_id(), batch)
            del _WAITING[: len(batch)]  # after the call, so that an interrupted one is made again
        _logged_at[0] = time.time()


def log_recipe(recipe: dict[str, Any]) -> None:
    """Log the recipe as it was run, every default and overlay in it."""
    _client().log_text(run_id(), json.dumps(recipe, indent=2), "recipe.json")


def _curve(event: TrainingStep | TrainingEpoch) -> dict[str, float]:
    if isinstance(event, TrainingStep):
        values = {"loss": event.loss, "learning_rate": event.learning_rate}
    else:
        values = {
            "epoch_loss": event.training_loss,
            "validation_loss": event.validation_loss,
            f"validation_{event.metric}": event.validation_metric,
        }
    return {f"{event.training}.{name}": value for name, value in values.items()}


def _client() -> MlflowClient:
    return MlflowClient()
