"""What a run logs, each kind as data that can be delivered at once or later, and twice as well as once."""

from __future__ import annotations

import tempfile
import time
import uuid
from pathlib import Path
from typing import Annotated, Literal

import mlflow
from mlflow import MlflowClient, MlflowException
from mlflow.entities import Metric, Param, RunTag
from pydantic import ConfigDict, Field

from thresher.config import Config
from thresher.modalities import read_encoder
from thresher.tracking import models
from thresher.tracking.parameters import in_batches
from thresher.tracking.run_context import PARENT, REUSED_FROM

METRICS_A_CALL = 1000  # MLflow's own limit
MAX_TAG = 8000
"""MLflow's own limit on the characters of a tag; longer ones it cuts without a word."""
NOTE = "mlflow.note.content"
ENTRY = "thresher.entry"
"""Tag of a nested run: the entry that made it, so that it is made once."""


class Entry(Config):
    """Something to be logged."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="strings")

    def deliver(self, run: str) -> None:
        """Log it for the run with the id ``run``; once more changes nothing."""
        raise NotImplementedError


class Tags(Entry):
    """Tags of the run."""

    kind: Literal["tags"] = "tags"
    tags: dict[str, str]

    def deliver(self, run: str) -> None:
        MlflowClient().log_batch(run, tags=[RunTag(name, value[:MAX_TAG]) for name, value in self.tags.items()])


class Parameters(Entry):
    """Parameters of the run."""

    kind: Literal["parameters"] = "parameters"
    parameters: dict[str, str]

    def deliver(self, run: str) -> None:
        for batch in in_batches(self.parameters):
            MlflowClient().log_batch(run, params=[Param(name, value) for name, value in batch.items()])


class Metrics(Entry):
    """Metrics of the run: name, value, time in ms, step."""

    kind: Literal["metrics"] = "metrics"
    metrics: list[tuple[str, float, int, int]]

    def deliver(self, run: str) -> None:
        _log_metrics(run, [Metric(*metric) for metric in self.metrics])


class Artifact(Entry):
    """A file among the artifacts of the run."""

    kind: Literal["artifact"] = "artifact"
    path: str
    content: bytes

    def deliver(self, run: str) -> None:
        place, _, name = self.path.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
            (Path(folder) / name).write_bytes(self.content)
            MlflowClient().log_artifact(run, str(Path(folder) / name), place or None)


class Data(Entry):
    """The train and test splits as inputs of the run."""

    kind: Literal["data"] = "data"
    recipe: str
    train_sha256: str
    test_sha256: str

    def deliver(self, run: str) -> None:
        sets = models.data_sets(self.recipe, self.train_sha256, self.test_sha256)
        MlflowClient().log_inputs(run, datasets=[models.as_input(one, context) for context, one in sets.items()])


class Model(Entry):
    """A candidate as a logged model of the run, with its figures where they are known."""

    kind: Literal["model"] = "model"
    recipe: str
    candidate: str
    onnx_file: bytes
    encoder: str
    figures: dict[str, float] = Field(default_factory=dict)
    data: Data | None = None
    """What the figures were measured on."""
    at: int = Field(default_factory=lambda: int(time.time() * 1000))

    def deliver(self, run: str) -> None:
        encoder = read_encoder(self.encoder)
        model_id = models.provide_candidate(self.recipe, self.candidate, self.onnx_file, encoder, run=run)
        if self.figures and self.data:
            sets = models.data_sets(self.recipe, self.data.train_sha256, self.data.test_sha256)
            mlflow.log_metrics(
                self.figures, run_id=run, model_id=model_id, dataset=sets["evaluation"], timestamp=self.at
            )


class NestedRun(Entry):
    """A trial of a search."""

    kind: Literal["nested"] = "nested"
    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    tags: dict[str, str]
    parameters: dict[str, str]
    metrics: list[tuple[str, float, int, int]]
    status: str
    at: int = Field(default_factory=lambda: int(time.time() * 1000))

    def deliver(self, run: str) -> None:
        client = MlflowClient()
        experiment = client.get_run(run).info.experiment_id
        found = client.search_runs([experiment], f"tags.`{ENTRY}` = '{self.id}'", max_results=1)
        tags = {**self.tags, PARENT: run, ENTRY: self.id}
        child = (found[0] if found else client.create_run(experiment, start_time=self.at, tags=tags)).info.run_id
        Parameters(parameters=self.parameters).deliver(child)
        Metrics(metrics=self.metrics).deliver(child)
        client.set_terminated(child, self.status, self.at)


class Curves(Entry):
    """The curves of a training that an earlier run did, as curves of this one."""

    kind: Literal["curves"] = "curves"
    names: list[str]
    from_run: str

    def deliver(self, run: str) -> None:
        import logging

        try:
            histories = [MlflowClient().get_metric_history(self.from_run, name) for name in self.names]
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            what = "MLflow no longer has run %s: its curves are not part of this run"
            logging.getLogger(__name__).warning(what, self.from_run)
            return
        copied = [(one.key, one.value, one.timestamp, one.step) for history in histories for one in history]
        Metrics(metrics=copied).deliver(run)


class ReusedFrom(Entry):
    """The runs that results were reused from, by name and with links in the run's description."""

    kind: Literal["reused_from"] = "reused_from"
    runs: list[str]
    section: str

    def deliver(self, run: str) -> None:
        tags = MlflowClient().get_run(run).data.tags
        note = tags.get(NOTE, "")
        if self.section not in note:
            note = f"{shorten_note(note, MAX_TAG - len(self.section) - 2)}\n\n{self.section}" if note else self.section
        Tags(tags={REUSED_FROM: ",".join(self.runs), NOTE: note}).deliver(run)


class End(Entry):
    """The run's end."""

    kind: Literal["end"] = "end"
    status: str
    at: int = Field(default_factory=lambda: int(time.time() * 1000))

    def deliver(self, run: str) -> None:
        MlflowClient().set_terminated(run, self.status, self.at)


AnyEntry = Annotated[
    Tags | Parameters | Metrics | Artifact | Data | Model | NestedRun | Curves | ReusedFrom | End,
    Field(discriminator="kind"),
]
NOTE_END = "\n\nMore of it: `verdict/model_card.md` among the artifacts.\n"


def shorten_note(card: str, characters: int) -> str:
    """Return as many sections of a model card as fit, or lines of its first one, with where the rest is."""
    if len(card) <= characters:
        return card
    whole = card[: max(0, characters - len(NOTE_END))]
    end = whole.rfind("\n## ")
    return whole[: end if end > 0 else whole.rfind("\n")] + NOTE_END


def _log_metrics(run: str, metrics: list[Metric]) -> None:
    for start in range(0, len(metrics), METRICS_A_CALL):
        MlflowClient().log_batch(run, metrics[start : start + METRICS_A_CALL])
