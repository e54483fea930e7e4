"""The trials of a search: Optuna's, of two objectives, kept in SQLite so that they go on after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thresher.compression.budget import Budget, CandidateSearch
from thresher.search.result import Assessed
from thresher.search.space import Depths, MinCounts, first_trials, suggest

if TYPE_CHECKING:
    import optuna

STUDY = "compression.db"
STARTUP_TRIALS = 12
"""Drawn at random, besides those that every search begins with, before the sampler learns from them."""
WORST = 1e30
"""Both objectives of a chain that could not be made; Optuna would ignore a failed trial and draw it again."""
ASSESSED, SAVINGS = "assessed", "savings"


def open_study(folder: Path, key: str) -> optuna.Study:
    """Return the study of the search ``key``, with what an interrupted one has done already."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STUDY}",
        study_name=key,
        load_if_exists=True,
        directions=["minimize", "minimize"],
    )
    _forget_interrupted(study)
    return study


def kept_savings(study: optuna.Study, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return what ``measure`` does, or did for this study: measured again, times would differ and chains with them."""
    if SAVINGS not in study.user_attrs:
        study.set_user_attr(SAVINGS, measure())
    found: dict[str, float] = study.user_attrs[SAVINGS]
    return found


class Trials:
    """The trials of one search: what was tried, and what to try next.

    Source: Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", JAIR 2022, as Optuna implements it, with
    the bounds on costs as its constraints. The sampler is seeded by the number of trials that are done, so that an
    interrupted search comes to the same trials as another.

    Args:
        study: has the trials that an interrupted search did.
        groups: of layers that can lose channels, as `Sensitivity` names them; empty where none is to.
        depths: how many blocks may be left.
        min_counts: how often a token must occur, of those numbers that remove rows.
        objective: the cost that is weighed against the loss.
    """

    def __init__(
        self,
        study: optuna.Study,
        config: CandidateSearch,
        groups: tuple[str, ...],
        depths: Depths,
        objective: str,
        seed: int,
        min_counts: MinCounts = (),
    ) -> None:
        self._study, self._config = study, config
        self._room = (groups, depths, min_counts)
        self._objective, self._seed = objective, seed
        self._first = first_trials(config, *self._room)
        self._asked: optuna.Trial | None = None
        self.done = _finished(study)

    def propose(self) -> dict[str, Any]:
        """Return the settings of the next trial."""
        number = len(self.done)
        self._study.sampler = _sampler(self._seed + number, self._config.budget, self._objective)
        if number < len(self._first):
            self._study.enqueue_trial(self._first[number])
        self._asked = self._study.ask()
        return suggest(self._asked, self._config, *self._room)

    def record(self, assessed: Assessed) -> None:
        """Keep what the settings that were proposed last came to."""
        assert self._asked is not None
        self._asked.set_user_attr(ASSESSED, assessed.model_dump(mode="json"))
        self._study.tell(self._asked, _objectives(assessed, self._objective))
        self.done.append(assessed)


def _sampler(seed: int, budget: Budget, objective: str) -> optuna.samplers.BaseSampler:
    import warnings

    import optuna

    def constraints(trial: optuna.trial.FrozenTrial) -> Sequence[float]:
        assessed = Assessed.model_validate(trial.user_attrs[ASSESSED])
        return [assessed.costs.get(name, WORST) / bound - 1 for name, bound in budget.costs.items()]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls its own constraints experimental, and about to be renamed
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=STARTUP_TRIALS, constraints_func=constraints if budget.costs else None
        )


def _objectives(assessed: Assessed, objective: str) -> tuple[float, float]:
    if assessed.loss is None:
        return WORST, WORST
    return assessed.loss, assessed.costs[objective]


def _finished(study: optuna.Study) -> list[Assessed]:
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [Assessed.model_validate(trial.user_attrs[ASSESSED]) for trial in trials]


def _forget_interrupted(study: optuna.Study) -> None:
    """Mark as failed what a killed process left waiting or running: the sampler does not look at such trials."""
    from optuna.trial import TrialState

    while study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        study.ask()  # begins the one that waits: what has not begun cannot be told
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
