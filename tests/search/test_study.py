"""A search goes on wherever it was killed, also between a trial that is enqueued and its beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from thresher.compression.budget import CandidateSearch
from thresher.search.result import Assessed
from thresher.search.space import first_trials
from thresher.search.study import WORST, Trials, open_study


@pytest.mark.oddity("Runs", "a search is killed before a trial that waits begins, or in it", "the search goes on")
@pytest.mark.parametrize("num_begun", [0, 1, 2])
def test_what_was_waiting_or_running_when_a_search_was_killed_is_forgotten(tmp_path: Path, num_begun: int) -> None:
    study = open_study(tmp_path, "key")
    for share in (0.25, 0.5):
        study.enqueue_trial({"share": share})
    for _ in range(num_begun):
        study.ask()
    again = open_study(tmp_path, "key")
    assert [trial.state for trial in again.trials] == [TrialState.FAIL] * 2
    assert again.ask().number == 2


SEARCH = CandidateSearch.model_validate({"budget": {"size_bytes": 1000}})
GROUPS = ("conv1", "conv2")
NUM_FIRST = len(first_trials(SEARCH, GROUPS))


def trials_of(study: optuna.Study, seed: int = 1) -> Trials:
    return Trials(study, SEARCH, GROUPS, range(0), "size_bytes", seed)


def assessed(number: int, settings: dict[str, Any]) -> Assessed:
    figures: dict[str, Any] = {"loss": 0.1 * number, "costs": {"size_bytes": 500.0 + 100 * number}}
    figures = {"reason": "it broke"} if number == 1 else figures
    return Assessed(number=number, settings=settings, steps=(), finetuned=False, seconds=0.0, **figures)


def go_on(trials: Trials, until: int) -> list[dict[str, Any]]:
    proposed = []
    while (number := len(trials.done)) < until:
        proposed.append(trials.propose())
        trials.record(assessed(number, proposed[-1]))
    return proposed


def test_an_interrupted_search_proposes_what_another_does_and_nothing_twice(tmp_path: Path) -> None:
    whole = go_on(trials_of(open_study(tmp_path / "one", "key")), NUM_FIRST + 4)
    for until in (3, NUM_FIRST + 1, NUM_FIRST + 4):
        trials = trials_of(open_study(tmp_path / "other", "key"))
        assert trials.done == [assessed(number, one) for number, one in enumerate(whole[: len(trials.done)])]
        go_on(trials, until)
        assert [trial.settings for trial in trials.done] == whole[:until]
        trials.propose()  # and is killed
    shares = [settings["share"] for settings in whole[NUM_FIRST:]]
    assert len(set(shares)) == len(shares)
    assert [{**first, **settings} for first, settings in zip(first_trials(SEARCH, GROUPS), whole, strict=False)] == [
        {**first, **dict.fromkeys(GROUPS, 0.0)} for first in first_trials(SEARCH, GROUPS)
    ]


def test_another_seed_draws_other_trials(tmp_path: Path) -> None:
    drawn = [go_on(trials_of(open_study(tmp_path / str(seed), "key"), seed), NUM_FIRST + 1)[-1] for seed in (1, 2)]
    assert drawn[0]["share"] != drawn[1]["share"]


def test_the_sampler_is_told_loss_cost_and_what_is_over_the_budget(tmp_path: Path) -> None:
    study = open_study(tmp_path, "key")
    go_on(trials_of(study), 3)
    assert [trial.values for trial in study.trials] == [[0.0, 500.0], [WORST, WORST], [0.2, 700.0]]
    first, failed, third = (trial.system_attrs["constraints"][0] for trial in study.trials)
    assert (first, third) == (pytest.approx(-0.5), pytest.approx(-0.3)) and failed > 1e20
