"""Bentos and models of a recipe in BentoML's store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thresher.datasets.reports import bento_store
from thresher.retention.artifacts import CleaningError, Item, Kind, size_of
from thresher.retention.mlflow_lineage import Tracked
from thresher.serving.core.bundle import model_name

if TYPE_CHECKING:
    from bentoml import Bento, Model

FOREIGN = "no run in this MLflow made it: it may belong to another project or another --env"


def find_bentos(tracked: Tracked) -> list[Item]:
    """Return every Bento of the recipe with its model, and the models that no Bento has.

    BentoML is not imported where its store has neither.
    """
    if not any(bento_store().glob(f"*/*{tracked.recipe}")):
        return []
    return Store(tracked, _list_bentos(tracked.recipe), _list_models(model_name(tracked.recipe))).items()


@dataclass(frozen=True)
class Store:
    """What BentoML's store has under one recipe's names; other projects of the same user may have the same recipe."""

    tracked: Tracked
    bentos: list[Bento]
    models: dict[str, Model]

    def items(self) -> list[Item]:
        """Return every Bento, and every model that no Bento has; a model goes with the newest Bento that has it."""
        items: list[Item] = []
        left = dict(self.models)
        serving = self._serving_champion()
        for bento in sorted(self.bentos, key=lambda one: one.creation_time, reverse=True):
            used = {tag: self.models[tag] for tag in _models_of(bento) if tag in self.models}
            own = [left.pop(tag) for tag in used if tag in left]
            items.append(self._as_item(Kind.BENTO, bento, own, used.values(), serving))
        return items + [self._as_item(Kind.MODEL, model, [model], [model], serving) for model in left.values()]

    def _as_item(self, kind: Kind, thing: Bento | Model, own: list[Model], used: Iterable[Model], serving: str) -> Item:
        tag = str(thing.tag)
        names = [f" with model {model.tag}" for model in own] if kind == Kind.BENTO else []
        reason = "" if self._is_known(tag, used) else FOREIGN
        if tag == serving and self.tracked.champion:
            reason = f"it serves the champion, version {self.tracked.champion.version}"
        return Item(
            recipe=self.tracked.recipe,
            kind=kind,
            name=tag + "".join(names),
            made=thing.creation_time,
            size=size_of(Path(one.path) for one in {tag: thing, **{str(model.tag): model for model in own}}.values()),
            free=lambda: _free(kind, tag, [str(model.tag) for model in own]),
            used=thing.creation_time,
            kept=reason,
        )

    def _is_known(self, tag: str, models: Iterable[Model]) -> bool:
        """Return whether a run of this project made it: the store is the user's, for all projects."""
        runs = self.tracked.runs
        if any(run.data.tags.get("bento") == tag for run in runs.values()):
            return True
        return any(model.info.labels.get("mlflow_run_id") in runs for model in models)

    def _serving_champion(self) -> str:
        """Return the newest Bento of the champion, where there is none its newest model, or nothing."""
        theirs = {tag for tag, model in self.models.items() if self._is_champions(model)}
        bentos = [bento for bento in self.bentos if theirs & set(_models_of(bento))]
        candidates: list[Bento] | list[Model] = bentos or [self.models[tag] for tag in theirs]
        newest = max(candidates, key=lambda one: one.creation_time, default=None)
        return str(newest.tag) if newest else ""

    def _is_champions(self, model: Model) -> bool:
        champion = self.tracked.champion
        if champion is None:
            return False
        labels = model.info.labels
        wanted = (str(champion.version), champion.run_id or "")
        return (labels.get("model_version"), labels.get("mlflow_run_id")) == wanted


def _free(kind: Kind, tag: str, models: list[str]) -> None:
    import bentoml

    if kind == Kind.BENTO:
        with explaining_store_errors():
            bentoml.delete(tag)
    in_use = {used for bento in _list_bentos(tag.partition(":")[0]) for used in _models_of(bento)}
    for model in models:
        if model not in in_use:
            with explaining_store_errors():
                bentoml.models.delete(model)


def _models_of(bento: Bento) -> list[str]:
    return [str(model.tag) for model in bento.info.all_models]


def _list_bentos(name: str) -> list[Bento]:
    import bentoml

    with explaining_store_errors():
        return list(bentoml.list(name))
    return []


def _list_models(name: str) -> dict[str, Model]:
    import bentoml

    with explaining_store_errors():
        return {str(model.tag): model for model in bentoml.models.list(name)}
    return {}


@contextmanager
def explaining_store_errors() -> Iterator[None]:
    """Turn what BentoML raises in the block into a CleaningError; what is not there is no trouble."""
    from bentoml.exceptions import BentoMLException, NotFound

    try:
        yield
    except NotFound:
        pass
    except BentoMLException as error:
        where = f"BentoML's store in {bento_store()}"
        raise CleaningError(f"{where}: {error}. Fix: delete the folder in it that lacks this file.") from error
