"""The whole search of one candidate: trials without finetuning, then finalists with it, then the best."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from thresher.compression.budget import CandidateSearch
from thresher.compression.candidate import NamedCandidate
from thresher.compression.data import CompressionData
from thresher.compression.network.drop_layers import find_depths
from thresher.compression.network.prune_vocabulary import find_min_counts
from thresher.errors import CompressionError
from thresher.evaluation import Measurement
from thresher.events import Trial, as_part_of_trial, emit
from thresher.models.network import Network
from thresher.search.assess import Assessor
from thresher.search.finalists import choose, next_finalist
from thresher.search.result import Assessed, BudgetSearch, Sensitivity, keeps
from thresher.search.savings import measure_savings
from thresher.search.sensitivity import MAX_SAMPLES
from thresher.search.space import ALLOCATIONS, LAST_STEP, NONE_GOES, build_steps
from thresher.search.study import Trials, kept_savings, open_study
from thresher.training.checkpoints import hash_weights

TRIALS_SHARE = 0.5
"""The share of `minutes` after which no further trial begins."""
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

    @property
    def is_timed(self) -> bool:
        """Whether every chain is timed, and not the finalists alone."""
        return "latency_us" in (self.objective, *self.config.budget.costs)


def search_chain(task: SearchTask) -> tuple[NamedCandidate, BudgetSearch]:
    """Return the candidate with the steps that were found, and everything that was judged on the way.

    Raises:
        CompressionError: no chain keeps the bounds on costs, or none could be made.
    """
    config, data, objective, began = task.config, task.data, task.objective, time.monotonic()
    assert data.checkpoints is not None
    assessor = Assessor(task.base, task.float_onnx_file, data, task.measurement, task.is_timed)
    some = assessor.reference(data.validation_samples.draw(MAX_SAMPLES, data.training.seed))
    whole = assessor.reference(data.validation_samples)

    # What each layer's channels save, from which the samplers' shares become ratios.
    study, curves = open_study(data.checkpoints.folder, _key(task)), task.sensitivity
    savings = kept_savings(study, lambda: measure_savings(assessor, some, curves, objective)) if curves else {}

    # Many chains, each judged on some samples as it is pruned and quantized, before any finetuning.
    depths = find_depths(task.base, data.candidate) if config.drops else NONE_GOES
    min_counts = find_min_counts(task.base, data) if config.cuts_vocabulary else ()
    trials = Trials(study, config, tuple(savings), depths, objective, data.training.seed, min_counts)
    space = (config, curves, savings, depths, min_counts)
    for trial in trials.done:
        _report(trial, task)
    while len(trials.done) < config.trials and not (trials.done and _is_over(config.minutes, began, TRIALS_SHARE)):
        settings = trials.propose()
        structure, last = build_steps({**settings, LAST_STEP: _stand_in(settings)}, *space)
        trial = assessor.assess(len(trials.done), settings, (*structure, *last), some, finetuned=False)
        trials.record(trial)
        _report(trial, task)

    # A few of them, finetuned and judged on all samples; each result says which one is worth it next.
    changed, finalists = [trial for trial in trials.done if trial.steps], list[Assessed]()
    while len(finalists) < config.finalists and not (finalists and _is_over(config.minutes, began, 1.0)):
        chosen = next_finalist(changed, finalists, config.budget, objective)
        if chosen is None:
            break
        structure, last = build_steps(chosen.settings, *space)
        steps = (*structure, *((config.finetune,) if structure else ()), *last)
        with as_part_of_trial():
            number = len(trials.done) + len(finalists)
            finalists.append(assessor.assess(number, chosen.settings, steps, whole, finetuned=True))
        _report(finalists[-1], task)

    best = choose(finalists, config.budget, objective)
    if best is None:
        raise CompressionError(_why_none(task, trials.done, finalists))
    found = BudgetSearch(
        candidate=task.candidate.name,
        metric="accuracy" if data.training_samples.class_names else "rmse",
        budget=config.budget,
        objective=objective,
        baseline=assessor.baseline(whole),
        trials=tuple(trials.done),
        finalists=tuple(finalists),
        best=best,
        keeps_budget=keeps(finalists[best], config.budget),
    )
    return task.candidate.model_copy(update={"steps": found.winner.steps, "search": None}), found


def _stand_in(settings: dict[str, Any]) -> Any:
    """Return what ends a chain that is judged before it is finetuned."""
    return STANDS_FOR.get(settings[LAST_STEP], settings[LAST_STEP])


def _is_over(minutes: float | None, began: float, share: float) -> bool:
    return minutes is not None and time.monotonic() - began > 60 * minutes * share


def _report(assessed: Assessed, task: SearchTask) -> None:
    figures = {name: value for name, value in (*assessed.costs.items(), ("loss", assessed.loss)) if value is not None}
    emit(
        Trial(
            number=assessed.number,
            trials=max(task.config.trials, assessed.number + 1),
            settings=assessed.settings,
            state=assessed.state,
            validation_loss=None,
            validation_losses=(),
            seconds=assessed.seconds,
            search=task.candidate.name,
            figures=figures if assessed.metric is None else {"metric": assessed.metric, **figures},
        )
    )


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
