"""The whole search of one candidate: trials without finetuning, then finalists with it, then the best."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from thresher.compression.budget import CandidateSearch
from thresher.compression.candidate import NamedCandidate
from thresher.compression.data import CompressionData
from thresher.errors import CompressionError
from thresher.evaluation import Measurement
from thresher.events import Trial, as_part_of_trial, emit
from thresher.models.network import Network
from thresher.search.assess import Assessor, Reference
from thresher.search.finalists import choose, finetune_promising
from thresher.search.result import Assessed, BudgetSearch, keeps
from thresher.search.savings import measure_savings
from thresher.search.sensitivity import MAX_SAMPLES, Sensitivity, some_of
from thresher.search.space import ALLOCATIONS, LAST_STEP, Steps, build_steps
from thresher.search.study import kept_savings, open_study, run_trials

TRIALS_SHARE = 0.5
"""Of the minutes, after which no further trial begins."""
Build = Callable[[dict[str, Any]], list[Steps]]
"""What a sampler chose -> (steps on the structure, what ends the chain)."""
STANDS_FOR = {"quantize_aware": "quantize_static"}
"""What a chain is judged with before it is finetuned, where its own last step trains."""


@dataclass(frozen=True)
class SearchTask:
    """All that a search needs.

    Attributes:
        base: what the chain is applied to.
        float_onnx_file: the model that it is compared with.
        sensitivity: of the base; None where no channels are to be pruned.
    """

    candidate: NamedCandidate
    base: Network
    float_onnx_file: bytes
    data: CompressionData
    measurement: Measurement
    sensitivity: Sensitivity | None

    @property
    def config(self) -> CandidateSearch:
        """The search as the recipe has it."""
        assert self.candidate.search is not None
        return self.candidate.search

    @property
    def objective(self) -> str:
        """The cost that is weighed against the loss: what is to be least, or what the budget bounds first."""
        costs = self.config.budget.costs
        return self.config.minimize if self.config.budget.loss is not None or not costs else next(iter(costs))


def search_chain(task: SearchTask) -> tuple[NamedCandidate, BudgetSearch]:
    """Return the candidate with the steps that were found, and everything that was judged on the way.

    Raises:
        CompressionError: no chain keeps the bounds on costs, or none could be made.
    """
    config, data, began = task.config, task.data, time.monotonic()
    assert data.checkpoints is not None
    timed = task.objective == "latency_us" or "latency_us" in config.budget.costs
    assessor = Assessor(task.base, task.float_onnx_file, data, task.measurement, timed)
    some = assessor.reference(some_of(data.validation_samples, MAX_SAMPLES, data.training.seed))
    curves = task.sensitivity
    study = open_study(data.checkpoints.folder, _key(task))
    savings = kept_savings(study, lambda: measure_savings(assessor, some, curves, task.objective)) if curves else {}
    build = partial(build_steps, config=config, sensitivity=curves, savings=savings)
    trials = run_trials(
        study,
        config,
        tuple(savings),
        task.objective,
        data.training.seed,
        lambda number, settings: _try(build, assessor, some, number, settings),
        lambda assessed: _report(assessed, task, config.trials),
        _over(config.minutes, began, TRIALS_SHARE),
    )
    whole = assessor.reference(data.validation_samples)
    numbers = iter(range(len(trials), len(trials) + config.finalists))
    finalists = finetune_promising(
        [trial for trial in trials if trial.steps],
        config,
        task.objective,
        lambda trial: _finetune(task, build, assessor, whole, next(numbers), trial),
        _over(config.minutes, began, 1.0),
    )
    best = choose(finalists, config, task.objective)
    if best is None:
        raise CompressionError(_why_none(task, trials, finalists))
    found = BudgetSearch(
        candidate=task.candidate.name,
        metric="accuracy" if data.training_samples.class_names else "rmse",
        budget=config.budget,
        objective=task.objective,
        baseline=assessor.baseline(whole),
        trials=tuple(trials),
        finalists=tuple(finalists),
        best=best,
        keeps_budget=keeps(finalists[best], config.budget),
    )
    return task.candidate.model_copy(update={"steps": found.winner.steps, "search": None}), found


def _try(build: Build, assessor: Assessor, reference: Reference, number: int, settings: dict[str, Any]) -> Assessed:
    stand_in = STANDS_FOR.get(settings[LAST_STEP], settings[LAST_STEP])
    structure, last = build({**settings, LAST_STEP: stand_in})
    return assessor.assess(number, settings, (*structure, *last), reference, finetuned=False)


def _finetune(
    task: SearchTask, build: Build, assessor: Assessor, reference: Reference, number: int, trial: Assessed
) -> Assessed:
    structure, last = build(trial.settings)
    between = (task.config.finetune,) if structure else ()
    with as_part_of_trial():
        assessed = assessor.assess(number, trial.settings, (*structure, *between, *last), reference, finetuned=True)
    _report(assessed, task, number + 1)
    return assessed


def _report(assessed: Assessed, task: SearchTask, trials: int) -> None:
    figures = {name: value for name, value in (*assessed.costs.items(), ("loss", assessed.loss)) if value is not None}
    emit(
        Trial(
            number=assessed.number,
            trials=max(trials, assessed.number + 1),
            settings=assessed.settings,
            state=assessed.state,
            validation_loss=None,
            validation_losses=(),
            seconds=assessed.seconds,
            search=task.candidate.name,
            figures=figures if assessed.metric is None else {"metric": assessed.metric, **figures},
        )
    )


def _over(minutes: float | None, began: float, share: float) -> Callable[[], bool]:
    return lambda: minutes is not None and time.monotonic() - began > 60 * minutes * share


def _why_none(task: SearchTask, trials: list[Assessed], finalists: list[Assessed]) -> str:
    if finalists:
        return f"none of {len(finalists)} finalists could be made; the first: {finalists[0].reason}"
    made = [trial for trial in trials if not trial.reason]
    if not made:
        return f"none of {len(trials)} chains could be made; the first: {trials[0].reason}"
    least = {name: min(trial.costs[name] for trial in made) for name in task.config.budget.costs}
    bounds = ", ".join(f"{name} {least[name]:,.0f} > {bound:,.0f}" for name, bound in task.config.budget.costs.items())
    return f"none of {len(trials)} chains keeps the budget; the least was {bounds}. Raise it, or allow more techniques."


def _key(task: SearchTask) -> str:
    """Return a hash of all that decides what a trial comes to. More trials or minutes continue the same search."""
    from thresher.training.checkpoints import hash_weights

    data = task.data
    parts = [
        task.candidate.model_dump(mode="json", exclude={"search": {"trials", "minutes", "finalists", "finetune"}}),
        ALLOCATIONS,
        task.base.spec.model_dump(mode="json"),
        hash_weights(task.base),
        hashlib.sha256(task.float_onnx_file).hexdigest(),
        data.training.model_dump(mode="json"),
        [samples.content_hash() for samples in (data.training_samples, data.validation_samples)],
        task.measurement.model_dump(mode="json"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
