"""The search for training settings: Optuna's trials over a recipe's space, kept in SQLite so that they go on."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.config import Config
from thresher.errors import TrainingError
from thresher.events import Trial, emit
from thresher.training.hpo_space import Search, suggest

if TYPE_CHECKING:
    import optuna

    from thresher.training.history import Epoch

STARTUP_TRIALS = 5
"""Drawn at random before the sampler learns from them."""
STUDY = "study.db"

OnEpoch = Callable[["Epoch"], None]
Train = Callable[[dict[str, Any], int, OnEpoch], float]
"""(place -> value, trial number, call after every epoch) -> the least validation loss."""


class FinishedTrial(Config):
    """One training with settings of its own."""

    number: int
    settings: dict[str, Any]
    """Place in the recipe -> the value that was tried."""
    state: str
    """complete, pruned (ended early, worse than the median) or failed (its loss was not finite)."""
    validation_loss: float | None
    """The least of its epochs."""
    validation_losses: tuple[float, ...]
    """The validation loss of each epoch."""
    seconds: float


class SearchResult(Config):
    """All trials of a search, in order, and the best of them."""

    trials: tuple[FinishedTrial, ...]
    best: int
    """Number of the trial with the least validation loss."""

    @property
    def winner(self) -> FinishedTrial:
        """The best trial."""
        return next(trial for trial in self.trials if trial.number == self.best)


def search(config: Search, key: str, seed: int, train: Train, folder: Path) -> tuple[SearchResult, optuna.Study]:
    """Return the trials of ``config``, with what an interrupted search of the same ``key`` has done already.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (TPE), as Optuna implements
    it. The sampler is seeded by the number of trials that are done, so that a search which was interrupted comes to
    the same trials as one that was not.

    Args:
        key: of all that decides what a trial comes to; another key is another study.
        seed: of the sampler.
        train: does one trial.
        folder: where the study is kept.

    Raises:
        TrainingError: no trial reached a finite loss.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STUDY}",
        study_name=key,
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS) if config.prune else optuna.pruners.NopPruner(),
    )
    _forget_interrupted(study)
    began, done = time.monotonic(), _finished(study)
    for trial in done:
        emit(Trial(**trial.model_dump(), trials=config.trials))
    while len(done) < config.trials and not (done and _out_of_time(config, began)):
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(done), n_startup_trials=STARTUP_TRIALS)
        _do(study, config, train, len(done))
        done = _finished(study)
        emit(Trial(**done[-1].model_dump(), trials=config.trials))
    losses = [math.inf if trial.validation_loss is None else trial.validation_loss for trial in done]
    if not math.isfinite(min(losses, default=math.inf)):
        raise TrainingError(
            f"training.search: none of {len(done)} trials reached a finite loss. Lower the rates in its space."
        )
    return SearchResult(trials=tuple(done), best=losses.index(min(losses))), study


def _do(study: optuna.Study, config: Search, train: Train, number: int) -> None:
    """Do one trial and tell the study what it came to."""
    import optuna

    trial = study.ask()
    settings = suggest(config.space, trial)
    trial.set_user_attr("settings", settings)
    losses: list[float] = []

    def on_epoch(epoch: Epoch) -> None:
        losses.append(epoch.validation_loss)
        trial.report(epoch.validation_loss, epoch.epoch)
        if config.prune and trial.should_prune():
            raise optuna.TrialPruned

    try:
        study.tell(trial, train(settings, number, on_epoch))
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    except TrainingError as error:
        # A rate at which the loss explodes is an answer, too. It counts as the worst that there is.
        logging.getLogger(__name__).info("trial %s: %s", number, error)
        trial.set_user_attr("failed", True)
        study.tell(trial, WORST)


WORST = 1e30
"""The loss of a trial that came to none; Optuna would leave out a failed trial, and draw the same again."""


def _finished(study: optuna.Study) -> list[FinishedTrial]:
    from optuna.trial import TrialState

    trials = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [_as_finished(trial, number) for number, trial in enumerate(trials)]


def _as_finished(trial: optuna.trial.FrozenTrial, number: int) -> FinishedTrial:
    from optuna.trial import TrialState

    losses = [loss for _, loss in sorted(trial.intermediate_values.items())]
    failed = bool(trial.user_attrs.get("failed"))
    state = "failed" if failed else "pruned" if trial.state == TrialState.PRUNED else "complete"
    assert trial.duration is not None
    return FinishedTrial(
        number=number,
        settings=trial.user_attrs["settings"],
        state=state,
        validation_loss=None if failed or not losses else min(losses),
        validation_losses=tuple(losses),
        seconds=trial.duration.total_seconds(),
    )


def _forget_interrupted(study: optuna.Study) -> None:
    """Mark as failed what a killed process left running: neither sampler nor pruner looks at such trials."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def _out_of_time(config: Search, began: float) -> bool:
    return config.minutes is not None and time.monotonic() - began > 60 * config.minutes
