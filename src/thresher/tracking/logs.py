"""What each kind of result becomes in MLflow."""

from __future__ import annotations

import io
import json
import threading
import time
from functools import singledispatch
from typing import Any

from thresher.candidate_failure import CandidateFailure
from thresher.contracts.report import ContractReport
from thresher.evaluation.decision import ChosenDecision
from thresher.evaluation.promotion_gate import Challenge
from thresher.evaluation.set_comparison import SetComparison
from thresher.evaluation.slices import SliceComparison
from thresher.evaluation.table import verdict_markdown
from thresher.evaluation.temperature import Calibration
from thresher.evaluation.verdict import Verdict
from thresher.events import TRIAL, Event, TrainingEpoch, TrainingStep
from thresher.modalities.fingerprint import DataFingerprint
from thresher.models.imported.findings import Imported
from thresher.search.result import BudgetSearch, Sensitivity
from thresher.tracking.entries import MAX_TAG, METRICS_A_CALL, NOTE, Artifact, Data, Metrics, Tags, shorten_note
from thresher.tracking.metric_names import to_mlflow
from thresher.tracking.models import WINNER_CONTENT
from thresher.tracking.spool import send
from thresher.training.execution import ChosenExecution
from thresher.training.history import RangeTest
from thresher.training.hpo import SearchResult
from thresher.training.hpo_table import search_markdown, winner_words

CURVES = (
    "loss",
    "learning_rate",
    "epoch_loss",
    "validation_loss",
    "validation_accuracy",
    "validation_rmse",
    "validation_best_by",
)
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
_CURVES_LOCK = threading.Lock()
_WAITING: list[tuple[str, float, int, int]] = []
_logged_at = [0.0]


@singledispatch
def log(value: Any, name: str) -> None:
    """Log ``value``, which a node gave the dataset ``name``; what MLflow has no place for is passed over."""


@log.register
def _(value: ContractReport, name: str) -> None:
    place = f"contract/{value.test_set}" if value.test_set else "contract"
    _text(value.model_dump_json(indent=2), f"{place}/report.json")
    if not (value.test_set and value.success):
        _tag("contract", "holds" if value.success else "broken")


@log.register
def _(value: DataFingerprint, name: str) -> None:
    recipe = name.partition(".")[0]
    send(Data(recipe=recipe, train_sha256=value.train_sha256, test_sha256=value.test_sha256))
    _tag("data_hash", value.train_sha256)


@log.register
def _(value: Verdict, name: str) -> None:
    _text(value.model_dump_json(indent=2), "verdict/verdict.json")
    _text(verdict_markdown(value) + "\n", "verdict/verdict.md")
    _tag("winner", value.winner or "none")
    # The name stands in every list of runs: there it says more than a random one.
    _tag("mlflow.runName", f"{value.winner} wins" if value.winner else "nobody qualifies")
    if value.baseline:
        _metrics({f"baseline.{metric}": figure for metric, figure in value.baseline.figures.items()})
    if value.winner:
        won = value.of(value.winner).metrics
        _metrics({f"winner.{to_mlflow(metric)}": interval.value for metric, interval in won.items()})


@log.register
def _(value: SliceComparison, name: str) -> None:
    _text(value.model_dump_json(indent=2), "verdict/slices.json")


@log.register
def _(value: SetComparison, name: str) -> None:
    _text(value.model_dump_json(indent=2), "verdict/test_sets.json")
    found = ((on, value.metrics(on, {})) for on in value.sets)
    _metrics(
        {
            f"{candidate}.{on}.{to_mlflow(metric)}": interval.value
            for on, metrics in found
            for candidate, each in metrics.items()
            for metric, interval in each.items()
        }
    )


@log.register
def _(value: Challenge, name: str) -> None:
    _tag("challenge", ("won: " if value.replaces else "lost: ") + value.reason)
    if value.winner_content:
        _tag(WINNER_CONTENT, value.winner_content)


@log.register
def _(value: str, name: str) -> None:
    if name.endswith(".model_card"):
        _text(value, "verdict/model_card.md")
        _tag(NOTE, shorten_note(value, MAX_TAG))
    if name.endswith(".report"):
        _text(value, "report/report.html")
    if name.endswith(".bento"):
        _tag("bento", value)


@log.register(dict)
def _(value: dict[str, Any], name: str) -> None:
    if name.endswith((".data_docs", ".set_docs")):
        place = f"contract/{name.split('.')[1]}" if name.endswith(".set_docs") else "contract"
        for path, content in value.items():
            send(Artifact(path=f"{place}/{path}", content=content))


@log.register
def _(value: Calibration, name: str) -> None:
    _text(value.model_dump_json(indent=2), f"compression/{value.candidate}_calibration.json")
    _metrics({f"{value.candidate}.temperature": value.temperature})


@log.register
def _(value: ChosenDecision, name: str) -> None:
    _text(value.model_dump_json(indent=2), f"compression/{value.candidate}_decision.json")
    _metrics({f"{value.candidate}.threshold": value.rule.threshold})


@log.register
def _(value: Imported, name: str) -> None:
    _text(value.model_dump_json(indent=2), "training/imported.json")
    metrics = {f"float.validation_{value.metric}": value.value}
    _metrics(metrics)


@log.register
def _(value: ChosenExecution, name: str) -> None:
    _text(value.model_dump_json(indent=2), "training/execution.json")


@log.register
def _(value: RangeTest, name: str) -> None:
    _text(value.model_dump_json(indent=2), "training/range_test.json")
    _tag("learning_rate", f"{value.learning_rate:.3g}")


@log.register
def _(value: SearchResult, name: str) -> None:
    _text(value.model_dump_json(indent=2), "search/result.json")
    _text(search_markdown(value) + "\n", "search/trials.md")
    _tag("search", winner_words(value))


@log.register
def _(value: BudgetSearch, name: str) -> None:
    _text(value.model_dump_json(indent=2), f"compression/{value.candidate}_search.json")


@log.register
def _(value: Sensitivity, name: str) -> None:
    base = name.split(".")[1]
    _text(value.model_dump_json(indent=2), f"compression/{base}_sensitivity.json")


@log.register
def _(value: CandidateFailure, name: str) -> None:
    text = f"{value.candidate} failed in {value.step}: {value.reason}\n{value.traceback}"
    _text(text, f"compression/{value.candidate}_failed.txt")


def log_figure(figure: Any, name: str) -> None:
    """Log a figure of matplotlib, or the PNG file that was made of one, in the folder of its kind."""
    _, *candidate, plot = name.split(".")
    file, place = "_".join((*candidate, plot)) + ".png", FIGURES[plot]
    if not isinstance(figure, bytes):
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png")
        figure = drawn.getvalue()
    send(Artifact(path=f"{place}/{file}", content=figure))


def log_plan(text: str) -> None:
    """Log what the run was to do, and why."""
    _text(text, "plan.txt")


def log_event(event: Event) -> None:
    """Log the curves of a training while it goes on: at once where a second has passed since, else with the next."""
    if not isinstance(event, TrainingStep | TrainingEpoch) or event.training.startswith(TRIAL):
        return  # trials have runs of their own
    now = time.time()
    with _CURVES_LOCK:
        _WAITING.extend((key, value, int(now * 1000), event.step) for key, value in _curve(event).items())
        # A call takes longer than an epoch of a small training.
        due = now - _logged_at[0] >= SECONDS_A_CALL
    if due:
        log_waiting()


def log_waiting() -> None:
    """Log what of the curves waits for the next call."""
    with _CURVES_LOCK:
        while _WAITING:
            batch = _WAITING[:METRICS_A_CALL]
            send(Metrics(metrics=batch))
            del _WAITING[: len(batch)]  # after the call, so that an interrupted one is made again
        _logged_at[0] = time.time()


def log_recipe(recipe: dict[str, Any]) -> None:
    """Log the recipe as it was run, every default and overlay in it."""
    _text(json.dumps(recipe, indent=2), "recipe.json")


def _curve(event: TrainingStep | TrainingEpoch) -> dict[str, float]:
    if isinstance(event, TrainingStep):
        values = {"loss": event.loss, "learning_rate": event.learning_rate}
    else:
        values = {
            "epoch_loss": event.training_loss,
            "validation_loss": event.validation_loss,
            f"validation_{event.metric}": event.validation_metric,
            **({} if event.best_by is None else {"validation_best_by": event.best_by}),
        }
    return {f"{event.training}.{name}": value for name, value in values.items()}


def _text(text: str, path: str) -> None:
    send(Artifact(path=path, content=text.encode("utf-8", "backslashreplace")))


def _tag(name: str, value: str) -> None:
    send(Tags(tags={name: value}))


def _metrics(values: dict[str, float]) -> None:
    now = int(time.time() * 1000)
    send(Metrics(metrics=[(name, value, now, 0) for name, value in values.items()]))
