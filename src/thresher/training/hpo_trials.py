"""A search over the settings of one recipe: what a trial is, and what comes of them all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thresher.events import TRIAL
from thresher.modalities.model_input import ModelInput
from thresher.modalities.outputs import AnyOutput
from thresher.modalities.samples import EncodedSamples
from thresher.models import ModelChoice, is_network
from thresher.models.imported.config import ModelFile
from thresher.models.pretrained.folder import PretrainedFolder
from thresher.models.start import build_start
from thresher.training import Training
from thresher.training.checkpoints import Checkpoints
from thresher.training.execution import ChosenExecution
from thresher.training.fitting import fit
from thresher.training.hpo import OnEpoch, SearchResult, search
from thresher.training.hpo_space import apply
from thresher.training.loop import train

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class SearchTask:
    """All that a trial needs but its settings."""

    input: ModelInput
    output: AnyOutput
    training_samples: EncodedSamples
    validation_samples: EncodedSamples
    model: ModelChoice
    training: Training
    execution: ChosenExecution | None
    """How networks are trained; None for what is none."""
    checkpoints: Checkpoints
    begins_with: PretrainedFolder | ModelFile | None = None
    """What a model from elsewhere is read from."""


def search_settings(task: SearchTask) -> tuple[ModelChoice, Training, SearchResult, optuna.Study]:
    """Return the model and the training of the best trial, and all trials."""
    config = task.training.search
    assert config is not None

    def do(settings: dict[str, Any], number: int, on_epoch: OnEpoch) -> float:
        model, training = _with(task, settings)
        if config.epochs is not None:
            training = training.model_copy(update={"epochs": config.epochs})
        samples, name = (task.training_samples, task.validation_samples), f"{TRIAL}{number}"
        if not is_network(model.root):
            _, fitted = fit(model, task.input, samples, training, name)
            on_epoch(fitted.kept)
            return fitted.kept.validation_loss
        network = build_start(model.root, task.input, task.output, training.seed, task.begins_with)
        _, history = train(network, *samples, training, name, task.execution, task.checkpoints, on_epoch)
        return min(epoch.validation_loss for epoch in history.epochs)

    result, study = search(config, _key(task), task.training.seed, do, task.checkpoints.folder)
    model, training = _with(task, result.winner.settings)
    return model, training, result, study


def _with(task: SearchTask, settings: dict[str, Any]) -> tuple[ModelChoice, Training]:
    """Return the recipe's model and training with ``settings`` in place, and nothing left to search."""
    values = {"model": task.model.model_dump(mode="json"), "training": task.training.model_dump(mode="json")}
    changed = apply(settings, values)
    training = {**changed["training"], "search": None}
    return ModelChoice.model_validate(changed["model"]), Training.model_validate(training)


def _key(task: SearchTask) -> str:
    """Return a hash of all that decides what a trial comes to. More trials or minutes continue the same search."""
    assert task.training.search is not None
    training = task.training.model_dump(mode="json", exclude={"search": {"trials", "minutes"}})
    samples = [data.content_hash() for data in (task.training_samples, task.validation_samples)]
    execution = None if task.execution is None else task.execution.model_dump(mode="json", exclude={"trials"})
    contents = () if task.begins_with is None else task.begins_with.contents
    samples += [hashlib.sha256(content).hexdigest() for content in contents]
    parts = [task.input.model_dump(mode="json"), task.model.model_dump(mode="json"), training, samples, execution]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
