"""Further test sets, each judged apart, and those of other samples than the test split together with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from thresher.config import Config
from thresher.errors import CompressionError
from thresher.evaluation.answers import JudgedAnswers
from thresher.evaluation.bounds import check_bounds, describe_check
from thresher.evaluation.metrics import CONFIDENCE, LOSS, measure_quality_metrics
from thresher.evaluation.own_metrics import measure_own_metrics
from thresher.evaluation.quality import measure_quality
from thresher.evaluation.selection import Requirement, Selection
from thresher.evaluation.statistics import Interval
from thresher.modalities.decision import DecisionRule
from thresher.models import FLOAT

POOLED = "pooled"
"""The test split and all further sets of other samples than its own, as one."""


class FurtherSet(Config):
    """One of `data.tests`, as a node receives it."""

    name: str
    entry: str
    """Its entry in the catalog."""
    metrics: tuple[str, ...] = ()
    """What is required on it and must be computed."""


@dataclass(frozen=True)
class SetOutputs:
    """One test set, with what the candidates answer to it.

    Attributes:
        source: what it is, in words.
        labels: of shape [N].
        outputs: candidate -> probabilities [N, K] or values [N, 1].
        failed: candidate -> why it answers nothing.
    """

    source: str
    labels: np.ndarray
    outputs: Mapping[str, np.ndarray]
    failed: Mapping[str, str] = field(default_factory=dict)


class SetResults(Config):
    """How the candidates do on one test set."""

    source: str
    """What the set is, in words."""
    num_samples: int
    answers: dict[str, JudgedAnswers]
    """Candidate -> the quality of its answers beside float's."""
    failed: dict[str, str]
    """Candidate -> why its answers could not be judged."""


class SetComparison(Config):
    """How the candidates do on every further test set."""

    sets: dict[str, SetResults]

    def called(self, names: Mapping[str, str]) -> SetComparison:
        """Return the same with candidates under other names: new name -> the one that it has here."""

        def of(results: SetResults) -> SetResults:
            answers, failed = (
                {new: found[name] for new, name in names.items() if name in found}
                for found in (results.answers, results.failed)
            )
            return results.model_copy(update={"answers": answers, "failed": failed})

        return SetComparison(sets={name: of(results) for name, results in self.sets.items()})

    def metrics(self, name: str, bounds: Mapping[str, Requirement]) -> dict[str, dict[str, Interval]]:
        """Return candidate -> its figures on the set ``name``, at the confidence of its bound on the loss."""
        losses = [bounds[loss].confidence for loss in LOSS.values() if loss in bounds]
        confidence = next((each for each in losses if each), CONFIDENCE)
        answers = self.sets[name].answers
        return {candidate: measure_quality_metrics(each, confidence) for candidate, each in answers.items()}

    def broken(self, selection: Selection) -> dict[str, list[str]]:
        """Return candidate -> which bounds of ``selection.require_on`` it breaks, a sentence each."""
        broken: dict[str, list[str]] = {}
        for name, bounds in selection.require_on.items():
            of_set, metrics = self.sets[name], self.metrics(name, bounds)
            for candidate, reason in of_set.failed.items():
                broken.setdefault(candidate, []).append(f"on {name}: {reason}")
            held = check_bounds(of_set.answers, metrics, bounds, selection.correction)
            for metric, bound in bounds.items():
                assert held[metric].keys() == of_set.answers.keys(), metric
                for candidate, check in held[metric].items():
                    if said := describe_check(metric, check, bound, len(of_set.answers) - 1):
                        broken.setdefault(candidate, []).append(f"on {name}: {said}")
        return broken


def compare_sets(
    sets: Mapping[str, SetOutputs],
    selection: Selection,
    class_names: tuple[str, ...] = (),
    rules: Mapping[str, DecisionRule] | None = None,
) -> SetComparison:
    """Return how every candidate does on each of ``sets`` beside float.

    Args:
        sets: name -> its labels, and the answers of float and the candidates.
        rules: candidate -> by which it has its classes; the likeliest is the answer of those that are missing.
    """
    return SetComparison(
        sets={name: _compare(each, selection.metrics_on(name), class_names, rules or {}) for name, each in sets.items()}
    )


def pool(sets: Mapping[str, SetOutputs]) -> SetOutputs:
    """Return ``sets``, which have no sample in common, as one, with the candidates that answer to all of them."""
    parts = list(sets.values())
    failed = {name: reason for part in parts for name, reason in part.failed.items()}
    candidates = [name for name in parts[0].outputs if name not in failed]
    return SetOutputs(
        source=", ".join(sets),
        labels=np.concatenate([part.labels for part in parts]),
        outputs={name: np.concatenate([part.outputs[name] for part in parts]) for name in candidates},
        failed=failed,
    )


def _compare(
    of: SetOutputs, metrics: tuple[str, ...], class_names: tuple[str, ...], rules: Mapping[str, DecisionRule]
) -> SetResults:
    answers, failed = {}, dict(of.failed)
    for candidate, outputs in of.outputs.items():
        pair, of_pair = (outputs, of.outputs[FLOAT]), (rules.get(candidate), rules.get(FLOAT))
        try:
            quality = measure_quality(*pair, of.labels, of_pair)
            own = measure_own_metrics(metrics, *pair, of.labels, class_names, of_pair)
        except CompressionError as error:
            if candidate == FLOAT:
                raise
            failed[candidate] = str(error)
            continue
        answers[candidate] = JudgedAnswers(candidate=candidate, reference=FLOAT, quality=quality, own=own)
    return SetResults(source=of.source, num_samples=len(of.labels), answers=answers, failed=failed)
