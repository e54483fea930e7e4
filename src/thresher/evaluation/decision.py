"""The setting `decision`: by which threshold one class is the answer, fixed or chosen on the validation split."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from thresher.config import Config
from thresher.errors import CompressionError
from thresher.modalities.decision import DECISION, DecisionRule
from thresher.onnx_graph import read_note, with_note

Share = Annotated[float, Field(gt=0, le=1)]


class ByF1(Config):
    """The threshold with the highest F1 of the class."""

    kind: Literal["f1"] = "f1"


class ByRecall(Config):
    """The threshold that finds most of the class among those that are precise enough."""

    kind: Literal["recall"] = "recall"
    precision: Share
    """The least share of the answers with the class that are right."""


class ByPrecision(Config):
    """The threshold that is most precise among those that find enough of the class."""

    kind: Literal["precision"] = "precision"
    recall: Share
    """The least share of the samples of the class that are found."""


class ByCost(Config):
    """The threshold with the least mean cost."""

    kind: Literal["cost"] = "cost"
    missed: float = Field(gt=0, allow_inf_nan=False)
    """What a sample of the class costs that gets another answer."""
    false_alarm: float = Field(gt=0, allow_inf_nan=False)
    """What a sample of another class costs that gets this one."""


Aim = Annotated[ByF1 | ByRecall | ByPrecision | ByCost, Field(discriminator="kind")]


class Decision(Config):
    """One class is the answer where its probability reaches a threshold, else the likeliest of the others is."""

    class_: str = Field(alias="class")
    """The class that the threshold is of, by its name."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """The same for all candidates."""
    choose: Aim | None = None
    """What each candidate's own threshold is chosen for, on the validation split."""

    @model_validator(mode="after")
    def _says_one_of_both(self) -> Decision:
        if (self.threshold is None) == (self.choose is None):
            raise ValueError("a decision has either a threshold or an aim that it is chosen for: threshold or choose")
        return self

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that say what the threshold is worth."""
        shares = (f"precision[{self.class_}]", f"recall[{self.class_}]")
        if not isinstance(self.choose, ByCost):
            return shares
        return (*shares, f"cost[{self.class_}:{self.choose.missed:g}:{self.choose.false_alarm:g}]")


class ChosenDecision(Config):
    """A candidate's rule, and what it comes to on the validation split."""

    candidate: str
    rule: DecisionRule
    num_samples: int
    num_of_class: int
    precision: float
    """0 where nothing gets the class."""
    recall: float
    f1: float
    cost: float | None = None
    """The mean cost of a sample, where the recipe says what errors cost."""

    @property
    def sentence(self) -> str:
        """The rule and what came of it, in one sentence."""
        cost = "" if self.cost is None else f", mean cost {self.cost:.4f}"
        samples = f"{self.num_samples:,} validation samples, {self.num_of_class:,} of the class"
        figures = f"precision {self.precision:.4f}, recall {self.recall:.4f}, F1 {self.f1:.4f}{cost}"
        return f"{self.rule}: {figures} on {samples}"


def decide(
    onnx_file: bytes,
    probabilities: np.ndarray,
    labels: np.ndarray,
    class_names: tuple[str, ...],
    decision: Decision,
    candidate: str,
) -> tuple[bytes, ChosenDecision]:
    """Return ``onnx_file`` with the rule of its classes in its metadata, and what that comes to.

    Args:
        probabilities: what the file answers to the validation split, float32 [N, K].
        labels: of that, int64 [N].

    Raises:
        CompressionError: no threshold reaches the aim, or the validation split has no sample of the class.
    """
    index = class_names.index(decision.class_)
    scores, is_class = probabilities[:, index], labels == index
    threshold = decision.threshold
    if decision.choose is not None:
        threshold = choose_threshold(scores, is_class, decision.choose, decision.class_)
    assert threshold is not None
    limit = float(np.float32(threshold))
    aim = _words(decision.choose)
    rule = DecisionRule(class_name=decision.class_, class_index=index, threshold=limit, chosen_for=aim)
    report = _describe(candidate, rule, scores >= np.float32(rule.threshold), is_class, decision.choose)
    return with_note(onnx_file, DECISION, rule.model_dump_json()), report


def read_rule(onnx_file: bytes) -> DecisionRule | None:
    """Return the rule of the classes of ``onnx_file``; None where the likeliest class is the answer."""
    note = read_note(onnx_file, DECISION)
    return None if note is None else DecisionRule.model_validate_json(note)


def choose_threshold(scores: np.ndarray, is_class: np.ndarray, aim: Aim, name: str) -> float:
    """Return the threshold of ``scores``, float32 [N], that serves ``aim`` best; of several the highest.

    It lies in the middle between the scores that it parts.

    Args:
        is_class: which samples are of the class, bool [N].
        name: of the class, for errors.

    Raises:
        CompressionError: no threshold reaches the aim, or there are no samples of the class or of others.
    """
    from sklearn.metrics import roc_curve

    num, others = int(is_class.sum()), int((~is_class).sum())
    if not num or not others:
        raise CompressionError(
            f"The validation split has {num:,} samples of '{name}' and {others:,} of other classes: no threshold can "
            "be chosen. Fix: decision.threshold, or a larger data.validation."
        )
    false_rate, true_rate, least = roc_curve(is_class, scores, drop_intermediate=False)
    found, wrong = np.rint(true_rate * num), np.rint(false_rate * others)
    precision, recall = found / np.maximum(found + wrong, 1), found / num
    worth, enough = _worth(aim, found, wrong, num, precision, recall)
    below = np.append(least[1:], np.float32(0))
    thresholds = np.array([_between(*pair) for pair in zip(least, below, strict=True)])
    enough &= (thresholds > 0) & (thresholds < 1)
    if not enough.any():
        raise CompressionError(_unreached(aim, name, precision, recall))
    return float(thresholds[np.argmax(np.where(enough, worth, -np.inf))])


def _worth(
    aim: Aim, found: np.ndarray, wrong: np.ndarray, num: int, precision: np.ndarray, recall: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how good each threshold is, and whether it may be taken."""
    every = np.ones(len(found), dtype=bool)
    if isinstance(aim, ByF1):
        return 2 * found / (found + wrong + num), every
    if isinstance(aim, ByCost):
        return -(aim.missed * (num - found) + aim.false_alarm * wrong), every
    # The other share breaks ties: both are of counts, so that it weighs less than any difference.
    tie = 1 / (len(found) + num + wrong.max() + 1) ** 2
    if isinstance(aim, ByRecall):
        return recall + tie * precision, (precision >= aim.precision) & (found > 0)
    return precision + tie * recall, recall >= aim.recall


def _between(score: float, below: float) -> float:
    """Return a threshold that ``score`` reaches and ``below``, the next lower one, does not, as float32 has both."""
    high, low = min(float(score), 1.0), float(below)  # the first of all is infinite
    middle = float(np.float32((high + low) / 2))
    return middle if middle > low else high


def _unreached(aim: Aim, name: str, precision: np.ndarray, recall: np.ndarray) -> str:
    if isinstance(aim, ByRecall):
        best = f"The highest precision of '{name}' is {precision.max():.4f}, and {aim.precision:g} is asked for"
    elif isinstance(aim, ByPrecision):
        best = f"The highest recall of '{name}' is {recall.max():.4f}, and {aim.recall:g} is asked for"
    else:
        best = f"All samples have a probability of '{name}' of 0 or 1"
    return f"{best}, on the validation split: no threshold can be chosen. Fix: decision.choose, or a better model."


def _describe(
    candidate: str, rule: DecisionRule, said: np.ndarray, is_class: np.ndarray, aim: Aim | None
) -> ChosenDecision:
    found, wrong, missed = int((said & is_class).sum()), int((said & ~is_class).sum()), int((~said & is_class).sum())
    cost = (aim.missed * missed + aim.false_alarm * wrong) / len(said) if isinstance(aim, ByCost) else None
    return ChosenDecision(
        candidate=candidate,
        rule=rule,
        num_samples=len(said),
        num_of_class=int(is_class.sum()),
        precision=found / max(found + wrong, 1),
        recall=found / max(found + missed, 1),
        f1=2 * found / max(2 * found + wrong + missed, 1),
        cost=cost,
    )


def _words(aim: Aim | None) -> str:
    if aim is None:
        return ""
    if isinstance(aim, ByF1):
        return "the highest F1"
    if isinstance(aim, ByRecall):
        return f"the highest recall at a precision of {aim.precision:g}"
    if isinstance(aim, ByPrecision):
        return f"the highest precision at a recall of {aim.recall:g}"
    return f"the least cost, {aim.missed:g} for a missed one and {aim.false_alarm:g} for a false alarm"
