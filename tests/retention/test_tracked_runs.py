"""Runs, logged models and versions in a real MLflow: which stay, and what is left when one is freed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput

from thresher.events import Trial
from thresher.retention.artifacts import Item, Kind
from thresher.retention.mlflow_lineage import CleaningError, Tracked, read_tracked, tracked_recipes
from thresher.retention.outputs import OutputsItem
from thresher.retention.runs import find_runs
from thresher.tracking.history import move_alias
from thresher.tracking.run_context import EXPERIMENT_TAGS, PARENT, RUN_ID, TRACKING_URI
from thresher.tracking.trials import log_trial

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Experiment:
    """The experiment of one recipe in a store that all tests here share."""

    recipe: str
    folder: Path
    client: MlflowClient
    experiment_id: str

    def run(self, *reused_from: str, status: str = "FINISHED", models: tuple[str, ...] = ()) -> str:
        """Make a run with an artifact; it took results from earlier ones, and logged or linked models."""
        tags = {"reused_from": ",".join(reused_from)} if reused_from else {}
        run_id = str(self.client.create_run(self.experiment_id, tags=tags).info.run_id)
        self.client.log_text(run_id, "plan", "plan.txt")
        self.client.log_metric(run_id, "loss", 1.0)
        if models:
            self.client.log_outputs(run_id, [LoggedModelOutput(model_id, 0) for model_id in models])
        if status != "RUNNING":
            self.client.set_terminated(run_id, status)
        return run_id

    def model(self, run_id: str, size: int = 1000) -> str:
        """Log a model of the run that holds one file."""
        model = self.client.create_logged_model(self.experiment_id, name="half", source_run_id=run_id)
        file = self.folder / "model.onnx"
        file.write_bytes(b"o" * size)
        self.client.log_model_artifact(model.model_id, str(file))
        self.client.finalize_logged_model(model.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        return str(model.model_id)

    def register(self, model_id: str, run_id: str, alias: str = "") -> str:
        """Register the model as the next version."""
        if not self.client.search_registered_models(f"name = '{self.recipe}'"):
            self.client.create_registered_model(self.recipe)
        version = self.client.create_model_version(self.recipe, f"models:/{model_id}", run_id=run_id)
        if alias:
            self.client.set_registered_model_alias(self.recipe, alias, version.version)
        return str(version.version)

    def read(self) -> Tracked:
        return read_tracked(self.recipe)

    def items(self) -> dict[str, Item]:
        return {item.run_id: item for item in find_runs(self.read())}  # type: ignore[attr-defined]

    def kept(self) -> dict[str, str]:
        return {run_id: item.kept for run_id, item in self.items().items() if item.kept}

    def files(self, *ids: str) -> list[Path]:
        """Return the files of runs and models."""
        return [file for file in self.folder.rglob("*") if file.is_file() and not {*ids}.isdisjoint(file.parts)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TRACKING_URI, f"sqlite:///{folder}/mlflow.db")
        yield folder


@pytest.fixture
def small(store: Path, request: pytest.FixtureRequest) -> Experiment:
    client = MlflowClient()
    recipe, folder = request.node.name, store / request.node.name
    folder.mkdir()
    return Experiment(recipe, folder, client, client.create_experiment(recipe, folder.as_uri(), EXPERIMENT_TAGS))


def test_a_champion_keeps_every_run_that_it_descends_from(small: Experiment) -> None:
    splits, network, linked, other = (small.run() for _ in range(4))
    trained = small.run(splits, network)
    crowned = small.run(trained, models=(small.model(linked),))
    small.register(small.model(crowned), crowned, "champion")
    assert set(small.kept()) == {splits, network, linked, trained, crowned}
    assert set(small.kept().values()) == {"the champion, version 1, descends from it"}
    assert other in small.items()


def test_the_run_that_registered_a_model_of_an_earlier_one_stays_too(small: Experiment) -> None:
    maker = small.run()
    model = small.model(maker)
    registering = small.run(status="RUNNING")
    small.register(model, maker, "champion")
    small.client.set_terminated(registering)
    later = small.run()
    assert set(small.kept()) == {maker, registering}
    assert later in small.items()


def test_a_version_without_an_alias_keeps_nothing_and_one_with_another_alias_does(small: Experiment) -> None:
    first, second, third = (small.run() for _ in range(3))
    small.register(small.model(first), first)
    small.register(small.model(second), second, "staging")
    small.register(small.model(third), third, "champion")
    small.client.set_registered_model_alias(small.recipe, "also", "3")
    small.client.set_registered_model_alias(small.recipe, "zealous", "3")
    assert small.kept() == {
        second: "the version 2, alias staging, descends from it",
        third: "the champion, version 3, descends from it",
    }


def test_the_champion_that_a_rollback_returns_to_stays_with_its_model(small: Experiment) -> None:
    first, second, third = (small.run() for _ in range(3))
    models = [small.model(run_id) for run_id in (first, second, third)]
    for model, run_id in zip(models, (first, second, third), strict=True):
        move_alias(small.recipe, small.register(model, run_id), "run", "no worse")
    assert small.kept() == {
        second: "the former champion, version 2, descends from it",
        third: "the champion, version 3, descends from it",
    }
    move_alias(small.recipe, "1", "promote", "the oldest was best")
    assert small.kept() == {
        third: "the former champion, version 3, descends from it",
        first: "the champion, version 1, descends from it",
    }
    assert small.read().registered_models == {models[0], models[2]}


def test_a_run_that_goes_on_stays(small: Experiment) -> None:
    running = small.run(status="RUNNING")
    failed, killed = small.run(status="FAILED"), small.run(status="KILLED")
    assert small.kept() == {running: "it is RUNNING in MLflow"}
    assert {failed, killed} <= set(small.items())


def test_a_run_is_in_use_as_long_as_those_that_took_from_it(small: Experiment) -> None:
    origin = small.run()
    alone = small.run()
    middle = small.run(origin)
    last = small.run(middle)
    items = small.items()
    assert items[origin].used == items[middle].used == items[last].used == items[last].made
    assert items[origin].made < items[last].made
    assert items[alone].used == items[alone].made


def test_the_run_of_outputs_that_stay_stays_with_those_it_took_from(small: Experiment) -> None:
    origin = small.run()
    made = small.run(origin)
    other = small.run()
    times = dict.fromkeys(("made", "used"), datetime.now(UTC))
    outputs = {"recipe": small.recipe, "kind": Kind.OUTPUTS, "size": 1, "free": lambda: None, **times}
    kept = OutputsItem(name="split", kept="needed", run_id=made, **outputs)
    young = OutputsItem(name="plot", run_id=other, **outputs)
    reasons = {item.run_id: item.kept for item in find_runs(small.read(), [kept, young])}  # type: ignore[attr-defined]
    assert reasons == {origin: "it made outputs that stay", made: "it made outputs that stay", other: ""}


def test_a_freed_run_leaves_neither_files_nor_models_nor_versions_nor_rows(small: Experiment, store: Path) -> None:
    freed, stays = small.run(), small.run()
    gone, there = small.model(freed), small.model(stays, size=50)
    small.register(gone, freed)
    small.register(there, stays, "champion")
    item = small.items()[freed]
    assert item.size == len("plan") + 1000
    item.free()
    assert small.files(freed, gone) == []
    assert len(small.files(stays, there)) == 2
    assert set(small.items()) == {stays}
    assert set(small.read().models) == {there}
    assert set(small.read().versions) == {"2"}
    with sqlite3.connect(store / "mlflow.db") as database:
        rows = database.execute("SELECT count(*) FROM runs WHERE run_uuid = ?", [freed]).fetchone()
        rows += database.execute("SELECT count(*) FROM metrics WHERE run_uuid = ?", [freed]).fetchone()
        rows += database.execute("SELECT count(*) FROM logged_models WHERE model_id = ?", [gone]).fetchone()
    assert rows == (0, 0, 0)


@pytest.mark.parametrize("reached", ["model", "run"])
def test_what_was_cut_off_is_found_again_and_finished(small: Experiment, reached: str) -> None:
    run_id = small.run()
    model = small.model(run_id)
    small.client.delete_logged_model(model)
    if reached == "run":
        small.client.delete_run(run_id)
    item = small.items()[run_id]
    assert item.size == len("plan") + 1000
    item.free()
    assert small.files(run_id, model) == []
    assert small.items() == {}


def test_a_champions_model_in_the_bin_keeps_its_files_when_another_run_that_names_it_goes(small: Experiment) -> None:
    maker = small.run()
    model = small.model(maker)
    small.register(model, maker, "champion")
    other = small.run(models=(model,))
    small.client.delete_logged_model(model)
    small.items()[other].free()
    assert len(small.files(model)) == 1


def test_nothing_else_is_emptied_from_the_bin(small: Experiment) -> None:
    elsewhere = small.client.create_experiment(f"{small.recipe}_elsewhere")
    small.client.delete_experiment(elsewhere)
    unrelated = small.run()
    small.client.delete_run(unrelated)
    freed = small.run()
    small.items()[freed].free()
    small.client.restore_experiment(elsewhere)
    small.client.restore_run(unrelated)
    assert [run.info.run_id for run in small.client.search_runs([small.experiment_id])] == [unrelated]


def test_recipes_are_known_by_their_experiments(small: Experiment) -> None:
    small.client.create_experiment(f"{small.recipe}_of_somebody_else")
    assert small.recipe in tracked_recipes()
    assert f"{small.recipe}_of_somebody_else" not in tracked_recipes()


def test_what_mlflow_never_heard_of_has_nothing(store: Path) -> None:
    MlflowClient().search_experiments()
    assert find_runs(read_tracked("unheard_of")) == []


def test_no_store_is_made_by_looking_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING_URI, f"sqlite:///{tmp_path}/mlflow.db")
    assert (read_tracked("small"), tracked_recipes()) == (Tracked("small"), set())
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_asked_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING_URI, "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(CleaningError, match=r"MLflow at http://127.0.0.1:9: .*\nFix: .* choose another by --env"):
        read_tracked("small")


def test_the_trials_of_a_search_stay_with_the_run_that_they_are_nested_in(
    small: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logged as a run logs them, they have nothing else that would keep them."""
    searched, other = small.run(), small.run()
    monkeypatch.setenv(RUN_ID, searched)
    for number in range(2):
        log_trial(Trial(number, 2, {"training.optimizer.lr": 0.1}, "complete", 0.5, (0.7, 0.5), 1.0))
    model = small.model(searched)
    small.register(model, searched, alias="champion")
    nested = {run_id for run_id, run in small.read().runs.items() if run.data.tags.get(PARENT) == searched}
    assert len(nested) == 2
    assert set(small.kept()) == {searched, *nested}
    assert other in small.items()
