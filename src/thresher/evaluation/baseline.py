"""What answers without looking at its input: a model that is no better than it has learned nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from thresher.config import Config
from thresher.evaluation.metrics import find_metric, format_value
from thresher.evaluation.quality import log_losses, root_mean_square
from thresher.evaluation.selection import Selection
from thresher.evaluation.statistics import (
    TOO_FEW_SAMPLES,
    Interval,
    accuracy_drop,
    balanced_accuracy,
    count_pairs,
    resample_mean,
    resample_rmse_increase,
)
from thresher.modalities.decision import DecisionRule, choose_classes
from thresher.modalities.samples import EncodedSamples

JUDGED_BY = {"classification": "accuracy", "regression": "rmse"}
"""Task -> the metric where the recipe requires none of the others."""
ROW = "(baseline)"
"""The name of the baseline in tables; no candidate can have it."""


class Beside(Config):
    """One model beside the baseline, by one metric."""

    value: float
    baseline: float
    gain: Interval
    """How much better the model is, above 0 where it is."""

    @property
    def is_better(self) -> bool:
        """Whether the interval shows it."""
        return self.gain.lower > 0 and not self.gain.too_few


Compare = Callable[[np.ndarray, DecisionRule | None], Beside]
"""Maps a model's outputs for the test samples, and its rule, to its comparison with the baseline."""


class Baseline(Config):
    """Constant answers, made of the training labels alone, and every candidate beside them on the test samples."""

    answers: str
    """What it answers, in words."""
    num_samples: int
    metric: str
    """The metric by which candidates are compared."""
    figures: dict[str, float]
    """The baseline's own figures by metric; r2 is among those of a regression."""
    beside: dict[str, dict[str, Beside]]
    """Candidate -> metric -> how it compares."""

    def fails(self, candidate: str) -> str:
        """Return why ``candidate`` is not shown to be better, by the metric that counts; nothing where it is."""
        compared = self.beside[candidate][self.metric]
        if compared.is_better:
            return ""
        others = {name: each for name, each in self.beside[candidate].items() if name != self.metric}
        better = next((f"; {_require(name, each)}" for name, each in others.items() if each.is_better), "")
        return f"no better than {self.answers}: {self._describe(compared)}{better}"

    def _describe(self, compared: Beside) -> str:
        ours, theirs = (format_value(self.metric, value) for value in (compared.value, compared.baseline))
        if compared.gain.too_few:
            shown = f"on fewer than {TOO_FEW_SAMPLES} test samples, which prove nothing"
        else:
            bounds = (signed(self.metric, bound) for bound in (compared.gain.lower, compared.gain.upper))
            gain = signed(self.metric, compared.gain.value)
            shown = f"a gain of {gain} [{', '.join(bounds)}] on {self.num_samples:,} test samples"
        return f"{self.metric} {ours} against {theirs}, {shown}"


def compare_with_baseline(
    training: EncodedSamples,
    test: EncodedSamples,
    outputs: Mapping[str, np.ndarray],
    selection: Selection,
    rules: Mapping[str, DecisionRule] | None = None,
) -> Baseline:
    """Return the baseline of the ``training`` labels, and each candidate beside it.

    Of a classification that is the most frequent class, for `log_loss` the classes' shares; of a regression the mean,
    for `mae` the median. Where always answering the most frequent class of test counts as better than that, it is this
    one: after a training on as many samples of each class, a coin toss would be better than always a rare one.

    Args:
        outputs: candidate -> what it answers to the test samples, [N, K] or [N, 1].
        rules: candidate -> by which it has its classes. A threshold gives up accuracy for what it is for: with any, the
            balanced accuracy counts where the recipe requires none of accuracy.
    """
    known = rules or {}
    answers, compared = comparisons(training, test, selection.confidence)
    beside = {
        name: {metric: beside(given, known.get(name)) for metric, beside in compared.items()}
        for name, given in outputs.items()
    }
    judged_by = JUDGED_BY[test.task]
    asked = [find_metric(name).baseline for name in (*selection.require, selection.objective)]
    required = [metric for metric in compared if metric in asked and metric != judged_by]
    required += ["balanced_accuracy"] * bool(known)
    if required and not selection.require.keys() & _OF[judged_by]:
        judged_by = required[0]
    some = next(iter(beside.values()))
    figures = {metric: each.baseline for metric, each in some.items()}
    if not test.class_names:
        figures["r2"] = _r2_of_constant(training.labels.mean(), test.labels)
    return Baseline(answers=answers, num_samples=len(test), metric=judged_by, figures=figures, beside=beside)


def comparisons(training: EncodedSamples, test: EncodedSamples, confidence: float) -> tuple[str, dict[str, Compare]]:
    """Return what the baseline answers, and metric -> function from a model's outputs to how it compares."""
    return (_classes if test.class_names else _values)(training, test, confidence)


_OF = {"accuracy": {"accuracy", "accuracy_drop"}, "rmse": {"rmse", "rmse_increase", "r2"}}
"""Metric -> what a recipe may require that is about it: then it counts, whatever else is required."""


def _classes(training: EncodedSamples, test: EncodedSamples, confidence: float) -> tuple[str, dict[str, Compare]]:
    num_classes = len(test.class_names)
    shares = np.bincount(training.labels, minlength=num_classes) / len(training)
    most, labels, where = int(shares.argmax()), test.labels, "training"
    counts = np.bincount(labels, minlength=num_classes)
    usual = int(counts.argmax())
    if accuracy_drop(count_pairs(labels == most, labels == usual), confidence).negated.lower > 0:
        most, where = usual, "test"
    constant_right, prior_losses = labels == most, log_losses(shares[None], labels)

    def by_accuracy(outputs: np.ndarray, rule: DecisionRule | None) -> Beside:
        right = choose_classes(outputs, rule) == labels
        gain = accuracy_drop(count_pairs(constant_right, right), confidence).negated
        return Beside(value=float(right.mean()), baseline=float(constant_right.mean()), gain=gain)

    def by_balance(outputs: np.ndarray, rule: DecisionRule | None) -> Beside:
        right = np.bincount(labels[choose_classes(outputs, rule) == labels], minlength=num_classes)
        ours = balanced_accuracy(right, counts, confidence)
        theirs = 1 / int((counts > 0).sum())
        return Beside(value=ours.value, baseline=theirs, gain=_above(ours, theirs))

    def by_loss(outputs: np.ndarray, rule: DecisionRule | None) -> Beside:
        losses = log_losses(outputs, labels)
        gain = resample_mean(prior_losses - losses).interval(confidence)
        return Beside(value=float(losses.mean()), baseline=float(prior_losses.mean()), gain=gain)

    words = f"always '{test.class_names[most]}', the most frequent class of {where}"
    return words, {"accuracy": by_accuracy, "balanced_accuracy": by_balance, "log_loss": by_loss}


def _values(training: EncodedSamples, test: EncodedSamples, confidence: float) -> tuple[str, dict[str, Compare]]:
    mean, labels = float(training.labels.mean()), test.labels
    from_mean, from_median = mean - labels, np.abs(np.median(training.labels) - labels)

    def by_rmse(outputs: np.ndarray, rule: DecisionRule | None) -> Beside:
        errors = outputs[:, 0].astype(np.float64) - labels
        gain = resample_rmse_increase(from_mean, errors).interval(confidence).negated
        return Beside(value=root_mean_square(errors), baseline=root_mean_square(from_mean), gain=gain)

    def by_mae(outputs: np.ndarray, rule: DecisionRule | None) -> Beside:
        errors = np.abs(outputs[:, 0].astype(np.float64) - labels)
        gain = resample_mean(from_median - errors).interval(confidence)
        return Beside(value=float(errors.mean()), baseline=float(from_median.mean()), gain=gain)

    words = f"always {format_value('rmse', mean)}, the mean of the training labels"
    return words, {"rmse": by_rmse, "mae": by_mae}


def _above(interval: Interval, base: float) -> Interval:
    moved = {name: getattr(interval, name) - base for name in ("value", "lower", "upper")}
    return interval.model_copy(update=moved)


def _r2_of_constant(constant: float, labels: np.ndarray) -> float:
    total = float(((labels - labels.mean()) ** 2).sum())
    return 1 - float(((labels - constant) ** 2).sum()) / total if total else 0.0


def signed(metric: str, number: float) -> str:
    """Return ``number`` of ``metric`` with its sign; there is no minus before a zero."""
    return ("" if number < 0 else "+") + format_value(metric, number + 0.0)


def _require(metric: str, better: Beside) -> str:
    bound = "at_most" if metric in ("log_loss", "mae") else "at_least"
    ours, theirs = (format_value(metric, value) for value in (better.value, better.baseline))
    return (
        f"by {metric} it is better ({ours} against {theirs}): where that is what counts, require it, such as "
        f"selection.require: {{{metric}: {{{bound}: {theirs}}}}}"
    )
