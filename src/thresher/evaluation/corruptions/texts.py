"""Corruptions of texts: an array of str."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from pydantic import Field

from thresher.config import KindConfig
from thresher.evaluation.corruptions import DrawnCorruption

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Typos(DrawnCorruption):
    """Letters left out, doubled, swapped with the next one or struck wrong, each as often."""

    kind: Literal["typos"] = "typos"
    share: float = Field(default=0.05, gt=0, le=1)
    """How many of the letters."""


class Case(KindConfig):
    """All letters small, all large, or each the other way."""

    kind: Literal["case"] = "case"
    to: Literal["lower", "upper", "swapped"] = "upper"


def typos(texts: np.ndarray, config: Typos, random: np.random.Generator) -> np.ndarray:
    """Return ``texts`` as `Typos` says; none becomes empty."""
    return _array(_mistype(text, config.share, random) or text for text in texts)


def case(texts: np.ndarray, config: Case, random: np.random.Generator) -> np.ndarray:
    """Return ``texts`` as `Case` says."""
    change = {"lower": str.lower, "upper": str.upper, "swapped": str.swapcase}[config.to]
    return _array(map(change, texts))


def _mistype(text: str, share: float, random: np.random.Generator) -> str:
    struck = random.random(len(text)) < share
    ways, wrong = random.integers(0, 4, len(text)), random.integers(0, len(LETTERS), len(text))
    letters, place = list(text), 0
    while place < len(letters):
        letter, way = letters[place], ways[place]
        if struck[place] and letter.isalpha():
            if way == 0:
                letters[place] = ""
            elif way == 1:
                letters[place] = 2 * letter
            elif way == 2 and place + 1 < len(letters):
                letters[place], letters[place + 1] = letters[place + 1], letter
                place += 1
            else:
                letters[place] = LETTERS[wrong[place]]
        place += 1
    return "".join(letters)


def _array(texts: Iterable[str]) -> np.ndarray:
    listed = list(texts)
    corrupted = np.empty(len(listed), dtype=object)
    corrupted[:] = listed
    return corrupted
