"""What `thresher.adapters.kedro` relies on in Kedro."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import pytest
from helpers.contract import relied_on
from kedro.framework.session import KedroSession
from kedro.io import CachedDataset, DataCatalog, MemoryDataset, Version
from kedro.pipeline import Pipeline, node
from kedro.runner import AbstractRunner, SequentialRunner
from kedro_datasets.json import JSONDataset

from thresher.adapters.kedro import (
    ADVICE,
    FAILED_NODE,
    LOGGERS,
    LenientConfigLoader,
    OptionsDataset,
    dataset_arguments,
    dataset_file,
    folder_of,
    hooks_of,
    run_through,
)

ADAPTER = "src/thresher/adapters/kedro.py"


def test_a_dataset_keeps_what_it_was_made_with() -> None:
    with relied_on("kedro", "AbstractDataset keeps a dataset's arguments, defaults too, in _init_args", ADAPTER):
        made = JSONDataset(filepath="a.json", save_args={"indent": 2}, metadata={"x": 1}, credentials={"key": "secret"})
        arguments = dataset_arguments(made)
        assert {key: arguments[key] for key in ("filepath", "save_args", "fs_args")} == {
            "filepath": "a.json", "save_args": {"indent": 2}, "fs_args": None
        }  # fmt: skip
        assert "metadata" not in arguments and "secret" not in str(arguments)
        assert dataset_arguments(JSONDataset(filepath="a.json", version=Version(None, None)))["versioned"] is True


class Inherited(JSONDataset):
    """Has no __init__ of its own."""


class Options(OptionsDataset):
    """Takes whatever it is given."""

    def __init__(self, **given: Any) -> None:
        self.given = given

    def load(self) -> None: ...

    def save(self, data: Any) -> None: ...

    def _describe(self) -> dict[str, Any]:
        return self.given

    def given_options(self) -> dict[str, Any]:
        return self.given


def test_a_catalog_is_written_with_the_options_of_a_dataset() -> None:
    with relied_on("kedro", "DataCatalog.to_config() asks a dataset for _init_config()", ADAPTER):
        written = DataCatalog({"raw": Options(path="a.csv")}).to_config()[0]["raw"]
        assert written == {"type": f"{__name__}.Options", "path": "a.csv"}


def test_arguments_that_were_passed_on_have_their_names() -> None:
    with relied_on("kedro", "arguments of an inherited __init__ are kept as args and kwargs", ADAPTER):
        made = Inherited(filepath="a.json", version=Version(None, None), metadata={"x": 1})
        assert dataset_arguments(made) == {"filepath": "a.json", "versioned": True}
        assert dataset_arguments(Options(path="a.csv")) == {"path": "a.csv"}


def test_a_dataset_of_one_local_file_is_known_by_its_argument() -> None:
    with relied_on("kedro", "get_protocol_and_path tells local files from others", ADAPTER):
        assert dataset_file(JSONDataset(filepath="/data/a.json")) == Path("/data/a.json")
        assert dataset_file(JSONDataset(filepath="memory://bucket/a.json")) is None
        assert dataset_file(MemoryDataset(1)) is None
        assert dataset_file(CachedDataset(JSONDataset(filepath="/data/a.json"))) is None


def test_of_a_versioned_dataset_the_newest_file_is_read_or_the_one_that_was_asked_for(tmp_path: Path) -> None:
    def dataset(load: str | None = None, save: str | None = None) -> JSONDataset:
        return JSONDataset(filepath=str(tmp_path / "a.json"), version=Version(load, save))

    with relied_on("kedro", "a version is FILE/VERSION/FILE, and release() forgets which was the newest", ADAPTER):
        newest = dataset()
        assert dataset_file(newest) == tmp_path / "a.json"
        for name in ("2026-01-01", "2026-01-02"):
            dataset(save=name).save({"a": name})
            assert dataset_file(newest) == tmp_path / "a.json" / name / "a.json"
            assert newest.load() == {"a": name}
        assert dataset_file(dataset(load="2026-01-01")) == tmp_path / "a.json" / "2026-01-01" / "a.json"


def test_single_entries_are_left_out_of_the_catalog(tmp_path: Path) -> None:
    class Loader(LenientConfigLoader):
        def check_entry(self, catalog: Any, name: Any) -> str:
            if name == "renamed":
                catalog[name].type = "new"
            return "is broken" if name == "broken" else ""

    (tmp_path / "base").mkdir()
    catalog = "broken: {type: '${nowhere}'}\nrenamed: {type: old}\nsound: {type: '${_kind}'}\n_kind: x\n"
    (tmp_path / "base" / "catalog.yml").write_text(catalog)
    with relied_on("kedro", "OmegaConfigLoader resolves a catalog in _resolve_catalog_config", ADAPTER):
        loader = Loader(str(tmp_path), base_env="base", default_run_env="base")
        assert loader["catalog"] == {"renamed": {"type": "new"}, "sound": {"type": "x"}}
        assert loader.unresolved == {"broken": "is broken"}


@pytest.mark.parametrize("selection", [{"tags": ["no"]}, {"from_nodes": ["no"]}, {"to_outputs": ["no"]}])
def test_a_selection_of_what_a_pipeline_has_not_is_a_value_error(selection: dict[str, list[str]]) -> None:
    with relied_on("kedro", "Pipeline.filter raises a ValueError for it", "src/thresher/session.py"):
        pipeline = Pipeline([node(dataset_file, "a", "b", name="find")])
        with pytest.raises(ValueError, match="contain"):
            pipeline.filter(**selection)


def test_a_session_has_its_folder_and_what_calls_its_hooks(tmp_path: Path) -> None:
    with relied_on("kedro", "KedroSession keeps _project_path and _hook_manager", ADAPTER):
        session = KedroSession("today", project_path=tmp_path)
        assert folder_of(session) == tmp_path
        assert hooks_of(session).hook.before_pipeline_run


def test_a_runner_runs_by_its_method_run() -> None:
    asked: list[Any] = []
    runner = SequentialRunner()
    with relied_on("kedro", "a session calls run(pipeline, catalog, hook_manager, ...) of its runner", ADAPTER):
        parameters = list(inspect.signature(AbstractRunner.run).parameters)
        assert parameters == ["self", "pipeline", "catalog", "hook_manager", "run_id", "only_missing_outputs"]
        assert "runner.run(" in inspect.getsource(KedroSession.run)
        run_through(runner, lambda *given: asked.append(given) or {})
        runner.run("pipeline", "catalog")  # type: ignore[arg-type]
        assert asked == [("pipeline", "catalog")] and isinstance(runner, SequentialRunner)


def test_what_the_log_leaves_out_is_said_in_known_words_by_known_loggers(caplog: pytest.LogCaptureFixture) -> None:
    def fail(given: int) -> int:
        raise ValueError("a bug")

    fails = node(fail, "b", "c", name="fail")
    sound = node(abs, "a", "b", name="begin")
    with relied_on("kedro", "its loggers say a node's error and advise in these words", ADAPTER):
        with caplog.at_level(logging.INFO, "kedro"):
            for pipeline in (Pipeline([fails]), Pipeline([sound, fails])):
                with pytest.raises(ValueError, match="a bug"):
                    SequentialRunner().run(pipeline, DataCatalog({"a": MemoryDataset(1), "b": MemoryDataset(1)}))
        said = [(record.name, str(record.msg)) for record in caplog.records]
        for words in (FAILED_NODE, *ADVICE):
            assert any(name in LOGGERS and words in message for name, message in said), words
