"""A search goes on wherever it was killed, also between a trial that is enqueued and its beginning."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from thresher.search.study import open_study


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
