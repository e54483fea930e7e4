"""Which class an answer has by its probabilities: the likeliest, or one that a threshold decides. No torch here."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from thresher.config import Config

DECISION = "thresher.decision"
"""The key of an ONNX file's metadata that has the rule of its classes, as JSON."""


class DecisionRule(Config):
    """One class against the rest: it is the answer where it is probable enough, else the likeliest other one is."""

    class_name: str
    class_index: int = Field(ge=0)
    """Its place among the classes."""
    threshold: float = Field(gt=0, lt=1)
    """A number that float32 holds, as the probabilities are: every program compares the same two numbers."""
    chosen_for: str = ""
    """The aim that it was chosen for, in words; empty where a recipe gives it."""

    def __str__(self) -> str:
        chosen = f", chosen for {self.chosen_for}" if self.chosen_for else ""
        return f"'{self.class_name}' where its probability is at least {self.threshold:.4g}{chosen}"

    def is_like(self, other: DecisionRule | None) -> bool:
        """Return whether ``other`` comes of the same setting: a threshold that was chosen may be another number."""
        if other is None or (self.class_name, self.chosen_for) != (other.class_name, other.chosen_for):
            return False
        return bool(self.chosen_for) or self.threshold == other.threshold


def choose_classes(outputs: np.ndarray, rule: DecisionRule | None) -> np.ndarray:
    """Return the class of each sample, int64 [N], by its probabilities [N, K].

    Args:
        rule: that of the model; None where the likeliest class is the answer.
    """
    chosen: np.ndarray = outputs.argmax(axis=1)
    if rule is None:
        return chosen
    rest = outputs.copy()
    rest[:, rule.class_index] = -1
    said = outputs[:, rule.class_index] >= np.float32(rule.threshold)
    return np.where(said, rule.class_index, rest.argmax(axis=1))
