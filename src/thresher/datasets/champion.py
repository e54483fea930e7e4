"""Registered versions of a recipe as Kedro datasets: its champion, and who stands beside it.

`tracking.models` is imported within functions: with it comes MLflow, which takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from thresher.datasets.registered import (
    NOBODY,
    ask_registry,
    asking_registry,
    load_bundle,
    name_version,
    register_bundle,
)
from thresher.serving.core.bundle import Bundle, hash_content
from thresher.tracking.history import CHALLENGER, CHAMPION, RUN, find_choice, find_set_aside, read_moves
from thresher.tracking.store_file import registry_is_empty, remembered

HashOf = Callable[[Path], str | None]


class RegistryDataset(AbstractDataset[Any, Any]):
    """What MLflow's registry knows of one recipe."""

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe

    def fingerprint(self, hash_of: HashOf) -> str | None:
        """Return a text that changes when what `load` gives does; None where the server went away within a run.

        Raises:
            TrackingError: the registry cannot be asked.
        """
        if registry_is_empty():
            return NOBODY
        question = json.dumps([type(self).__name__, self._describe()])
        return remembered(question, lambda: ask_registry(self._name_state))

    def _name_state(self) -> str:
        raise NotImplementedError

    def _describe(self) -> dict[str, Any]:
        return {"recipe": self._recipe}


class VersionDataset(RegistryDataset):
    """Loads the version with a number or an alias, None where there is none."""

    def __init__(self, recipe: str, name: str) -> None:  # `version` is Kedro's own word in a catalog
        super().__init__(recipe)
        self._name = str(name)

    @asking_registry()
    def load(self) -> Bundle | None:
        """Return the version.

        Raises:
            DataError: it was not registered by a Thresher that knows this one's encoders.
            TrackingError: the registry cannot be asked.
        """
        version = self._find()
        return load_bundle(version) if version else None

    def save(self, data: Bundle) -> None:
        raise DatasetError("A version is registered as a champion or as a challenger.")

    def _name_state(self) -> str:
        return name_version(self._find())

    def _find(self) -> Any | None:
        from thresher.tracking import models

        return models.find_version(self._recipe, self._name)

    def _exists(self) -> bool:
        return self._find() is not None

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "name": self._name}


class ChampionDataset(VersionDataset):
    """Loads the version with the alias `champion`, None where there is none; saving registers and moves the alias.

    A bundle that already has a version is the reigning champion: saving it changes nothing.
    """

    def __init__(self, recipe: str) -> None:
        super().__init__(recipe, CHAMPION)

    @asking_registry()
    def save(self, data: Bundle) -> None:
        if not data.info.model_version:
            register_bundle(self._recipe, data, CHAMPION)


class EnteredChallengerDataset(RegistryDataset):
    """Saving registers a winner that did not replace the champion, with the alias `challenger`; loads its number.

    A bundle that already has a version is the champion: there is nothing to register, and neither where the champion
    or the challenger of today is this very model. What is there is what runs have
    registered, wherever the alias was moved since: a person's choice is not undone by the next run.
    """

    @asking_registry()
    def load(self) -> str:
        """Return the number of the version that a run registered last, or nothing."""
        from thresher.tracking import models

        registered = models.find_registered(self._recipe)
        moves = read_moves(registered.tags) if registered else []
        return next((move.version for move in reversed(moves) if move.alias == CHALLENGER and move.move == RUN), "")

    @asking_registry()
    def save(self, data: Bundle) -> None:
        from thresher.tracking import models

        if data.info.model_version:
            return
        registered, contents = models.find_registered(self._recipe), models.contents_of(self._recipe)
        today = [str(number) for number in registered.aliases.values()] if registered else []
        if hash_content(data.onnx_bytes, data.encoder) not in [contents.get(number) for number in today]:
            register_bundle(self._recipe, data, CHALLENGER)

    def _name_state(self) -> str:
        return self.load() or NOBODY


class SetAsideDataset(RegistryDataset):
    """Loads the models that a person chose another champion over: they do not come back by a run; content -> why."""

    @asking_registry()
    def load(self) -> dict[str, str]:
        """Return the hash of each such model with its encoder, and who took its place and why.

        The winner of the last run before a person's choice is one of them, registered or not: an unchanged run has the
        same winner, and does not undo the choice.
        """
        from thresher.tracking import models

        registered = models.find_registered(self._recipe)
        if registered is None:
            return {}
        moves, contents = read_moves(registered.tags), models.contents_of(self._recipe)
        found = find_set_aside(moves, contents)
        champion = str(registered.aliases.get(CHAMPION, ""))
        choice = find_choice(moves, champion)
        known = models.last_winner(self._recipe, choice.at) if choice else ""
        if choice and known and known != contents.get(champion):
            what = f"it had won already when version {champion} was chosen ({choice.move}): {choice.reason}"
            found.setdefault(known, what)
        return found

    def save(self, data: Any) -> None:
        raise DatasetError("`thresher promote` and `thresher rollback` say what is set aside.")

    def _name_state(self) -> str:
        return " ".join(sorted(self.load())) or NOBODY
