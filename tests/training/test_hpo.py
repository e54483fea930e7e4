"""Optuna's study as Thresher keeps it, over a function in place of a training: what is drawn, ended, resumed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from thresher.errors import TrainingError
from thresher.events import Event, Trial
from thresher.training.history import Epoch
from thresher.training.hpo import OnEpoch, SearchResult, search
from thresher.training.hpo_space import Search

SEARCH = Search.model_validate(
    {"space": {"training.optimizer.lr": {"low": 1e-4, "high": 1, "log": True}, "training.optimizer": ["adam", "sgd"]},
     "trials": 12}
)  # fmt: skip
EPOCHS = 4


def valley(settings: dict[str, Any], number: int, on_epoch: OnEpoch) -> float:
    """A training whose loss is least with adam at 0.01."""
    distance = abs(math.log10(settings["training.optimizer.lr"]) + 2) + (settings["training.optimizer"] == "sgd")
    for epoch in range(1, EPOCHS + 1):
        on_epoch(Epoch(epoch=epoch, step=epoch, training_loss=1, validation_loss=distance + 1 / epoch,
                       validation_metric=0, seconds=0))  # fmt: skip
    return distance + 1 / EPOCHS


def trials(result: SearchResult) -> list[dict[str, Any]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in result.trials]


def test_the_best_trial_is_the_one_of_least_loss_and_bad_ones_end_early(tmp_path: Path) -> None:
    result, _ = search(SEARCH, "key", 1, valley, tmp_path)
    assert len(result.trials) == SEARCH.trials
    assert result.winner.validation_loss == min(trial.validation_loss or math.inf for trial in result.trials)
    assert {trial.state for trial in result.trials} == {"complete", "pruned"}
    assert all(len(trial.validation_losses) < EPOCHS for trial in result.trials if trial.state == "pruned")


def test_an_interrupted_search_goes_on_and_comes_to_the_same_trials(tmp_path: Path, events: list[Event]) -> None:
    undisturbed, _ = search(SEARCH, "key", 1, valley, tmp_path / "undisturbed")

    def killed(settings: dict[str, Any], number: int, on_epoch: OnEpoch) -> float:
        if number == 7:
            raise KeyboardInterrupt
        return valley(settings, number, on_epoch)

    with pytest.raises(KeyboardInterrupt):
        search(SEARCH, "key", 1, killed, tmp_path / "killed")
    events.clear()
    again: list[int] = []

    def counted(settings: dict[str, Any], number: int, on_epoch: OnEpoch) -> float:
        again.append(number)
        return valley(settings, number, on_epoch)

    resumed, _ = search(SEARCH, "key", 1, counted, tmp_path / "killed")
    assert trials(resumed) == trials(undisturbed)
    assert again == list(range(7, SEARCH.trials))
    assert [event.number for event in events if isinstance(event, Trial)] == list(range(SEARCH.trials))


def test_another_key_is_another_search(tmp_path: Path) -> None:
    search(SEARCH, "one", 1, valley, tmp_path)
    numbers: list[int] = []

    def counted(settings: dict[str, Any], number: int, on_epoch: OnEpoch) -> float:
        numbers.append(number)
        return valley(settings, number, on_epoch)

    search(SEARCH, "two", 1, counted, tmp_path)
    assert len(numbers) == SEARCH.trials


def test_a_trial_whose_loss_explodes_counts_as_the_worst(tmp_path: Path) -> None:
    def explodes(settings: dict[str, Any], number: int, on_epoch: OnEpoch) -> float:
        if settings["training.optimizer"] == "sgd":
            raise TrainingError("the loss is nan")
        return valley(settings, number, on_epoch)

    result, _ = search(SEARCH, "key", 1, explodes, tmp_path)
    failed = [trial for trial in result.trials if trial.state == "failed"]
    assert failed and all(trial.validation_loss is None for trial in failed)
    assert result.winner.settings["training.optimizer"] == "adam"


def test_a_search_without_any_finite_loss_says_so(tmp_path: Path) -> None:
    def explodes(settings: dict[str, Any], number: int, on_epoch: OnEpoch) -> float:
        raise TrainingError("the loss is nan")

    with pytest.raises(TrainingError, match="none of 12 trials reached a finite loss"):
        search(SEARCH, "key", 1, explodes, tmp_path)


def test_time_ends_a_search_after_its_first_trial(tmp_path: Path) -> None:
    short = SEARCH.model_copy(update={"minutes": 1e-9, "trials": 100})
    result, _ = search(short, "key", 1, valley, tmp_path)
    assert len(result.trials) == 1
