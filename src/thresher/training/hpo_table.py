"""The trials of a search as text."""

from __future__ import annotations

import math
from typing import Any

from thresher.training.hpo import FinishedTrial, SearchResult


def winner_words(result: SearchResult) -> str:
    """Return what won in one line, such as `optimizer adam, optimizer.lr 0.0031`."""
    return ", ".join(f"{place.removeprefix('training.')} {_show(value)}" for place, value in _settings(result.winner))


def search_markdown(result: SearchResult) -> str:
    """Return a table of all trials in Markdown, the best first."""
    places = list(dict.fromkeys(place for trial in result.trials for place in trial.settings))
    head = ["trial", *(place.removeprefix("training.") for place in places), "validation loss", "state", "seconds"]
    ranked = sorted(result.trials, key=_loss)
    lines = [head, ["---"] * len(head), *(_row(trial, places) for trial in ranked)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _loss(trial: FinishedTrial) -> float:
    return math.inf if trial.validation_loss is None else trial.validation_loss


def _row(trial: FinishedTrial, places: list[str]) -> list[str]:
    loss = "none" if trial.validation_loss is None else f"{trial.validation_loss:.4f}"
    values = [_show(trial.settings[place]) if place in trial.settings else "" for place in places]
    return [str(trial.number), *values, loss, trial.state, f"{trial.seconds:.1f}"]


def _settings(trial: FinishedTrial) -> list[tuple[str, Any]]:
    return sorted(trial.settings.items(), key=lambda item: (item[0].count("."), item[0]))


def _show(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        kind = str(value.get("kind", ""))
        rest = ", ".join(f"{key} {_show(inner)}" for key, inner in value.items() if key != "kind")
        return f"{kind} ({rest})" if kind and rest else kind or rest
    return str(value)
