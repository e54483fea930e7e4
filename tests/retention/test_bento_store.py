"""Bentos and models: which goes with which, which serves the champion, and which may be another project's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bentoml
import pytest

from thresher.retention.artifacts import Item
from thresher.retention.bentos import FOREIGN, Store, find_bentos
from thresher.retention.mlflow_lineage import Tracked


@dataclass
class Shelf:
    """What BentoML would list, each thing a folder with a file of 10 bytes; the younger, the later it was put in."""

    folder: Path
    bentos: list[Any] = field(default_factory=list)
    models: dict[str, Any] = field(default_factory=dict)

    def put_model(self, name: str, version: str, run_id: str) -> str:
        tag = f"thresher-small:{name}"
        labels = {"model_version": version, "mlflow_run_id": run_id}
        self.models[tag] = self._thing(tag, SimpleNamespace(labels=labels))
        return tag

    def put_bento(self, name: str, *models: str) -> str:
        tag = f"small:{name}"
        self.bentos.append(
            self._thing(tag, SimpleNamespace(all_models=[SimpleNamespace(tag=model) for model in models]))
        )
        return tag

    def items(self, champion: str = "", run_id: str = "", runs: dict[str, str] | None = None) -> dict[str, Item]:
        """Return the items by their names; ``runs`` names the Bento of each run."""
        known: Any = {
            run: SimpleNamespace(data=SimpleNamespace(tags={"bento": bento} if bento else {}))
            for run, bento in (runs or {}).items()
        }
        versions: Any = {champion: SimpleNamespace(version=champion, run_id=run_id)} if champion else {}
        aliases = {"champion": champion} if champion else {}
        tracked = Tracked("small", known, versions=versions, aliases=aliases)
        return {item.name: item for item in Store(tracked, self.bentos, self.models).items()}

    def _thing(self, tag: str, info: Any) -> Any:
        path = self.folder / tag.replace(":", "/")
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"0123456789")
        minute = len(self.bentos) + len(self.models)
        return SimpleNamespace(
            tag=tag, path=str(path), creation_time=datetime(2026, 11, 1, 12, minute, tzinfo=UTC), info=info
        )


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_bento_goes_with_its_model(shelf: Shelf) -> None:
    shelf.put_bento("one", shelf.put_model("first", "1", "run"))
    shelf.put_model("alone", "1", "run")
    items = shelf.items(runs={"run": ""})
    assert {name: item.size for name, item in items.items()} == {
        "small:one with model thresher-small:first": 20,
        "thresher-small:alone": 10,
    }


def test_a_model_of_two_bentos_goes_with_the_younger(shelf: Shelf) -> None:
    model = shelf.put_model("first", "1", "run")
    shelf.put_bento("older", model)
    shelf.put_bento("younger", model)
    items = shelf.items(runs={"run": ""})
    assert {name: item.size for name, item in items.items()} == {
        "small:older": 10,
        "small:younger with model thresher-small:first": 20,
    }


def test_the_newest_bento_of_the_champion_is_kept(shelf: Shelf) -> None:
    shelf.put_bento("before", shelf.put_model("first", "1", "run"))
    champions = shelf.put_model("second", "2", "run")
    shelf.put_bento("champions", champions)
    shelf.put_bento("rebuilt", champions)
    shelf.put_bento("after", shelf.put_model("third", "3", "run"))
    kept = {name: item.kept for name, item in shelf.items("2", "run", {"run": ""}).items() if item.kept}
    assert kept == {"small:rebuilt with model thresher-small:second": "it serves the champion, version 2"}


def test_without_a_bento_its_newest_model_is_kept(shelf: Shelf) -> None:
    shelf.put_bento("before", shelf.put_model("first", "1", "run"))
    shelf.put_model("second", "2", "run")
    newest = shelf.put_model("again", "2", "run")
    assert [name for name, item in shelf.items("2", "run", {"run": ""}).items() if item.kept] == [newest]


def test_version_2_of_another_registry_is_not_the_champion(shelf: Shelf) -> None:
    shelf.put_bento("theirs", shelf.put_model("first", "2", "their run"))
    (item,) = shelf.items("2", "our run", {"our run": ""}).values()
    assert item.kept == FOREIGN


def test_what_no_run_knows_is_kept_and_what_a_run_names_is_known(shelf: Shelf) -> None:
    theirs = shelf.put_model("first", "1", "their run")
    shelf.put_bento("theirs", theirs)
    shelf.put_bento("ours")
    shelf.put_bento("nobodys")
    items = shelf.items(runs={"run": "small:ours"})
    assert {name: item.kept for name, item in items.items()} == {
        "small:theirs with model thresher-small:first": FOREIGN,
        "small:ours": "",
        "small:nobodys": FOREIGN,
    }


def test_a_model_that_a_bento_still_has_stays(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, own = shelf.put_model("shared", "1", "run"), shelf.put_model("own", "1", "run")
    shelf.put_bento("older", shared)
    shelf.put_bento("younger", shared, own)
    deleted: list[str] = []

    def delete(tag: str) -> None:
        deleted.append(tag)
        shelf.bentos = [bento for bento in shelf.bentos if bento.tag != tag]

    monkeypatch.setattr(bentoml, "delete", delete)
    # As an attribute of BentoML it is a stand-in until it is first used.
    monkeypatch.setattr(import_module("bentoml.models"), "delete", deleted.append)
    monkeypatch.setattr(bentoml, "list", lambda name: shelf.bentos)
    items = shelf.items(runs={"run": ""})
    items[f"small:younger with model {shared} with model {own}"].free()
    assert deleted == ["small:younger", own]
    items["small:older"].free()
    assert deleted == ["small:younger", own, "small:older"]


def test_without_a_store_bentoml_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    assert find_bentos(Tracked("small")) == []
    assert not (tmp_path / "bentoml").exists()
