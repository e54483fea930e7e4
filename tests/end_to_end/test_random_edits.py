"""After any edits of a recipe: what is reused is what a fresh run gives, byte for byte, and nothing runs for nothing.

CI does the same few edits every time. `THRESHER_EXAMPLES=30 pytest tests/end_to_end/test_random_edits.py` does others,
new ones every time, about eight a minute.
"""

from __future__ import annotations

import copy
import hashlib
import json
import multiprocessing
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st
from kedro_project import SMALL, Project

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]

RecipeDict = dict[str, Any]
EXAMPLES = os.environ.get("THRESHER_EXAMPLES")
TRACKING = {"system_metrics": False}
QUANTIZE = {"kind": "quantize_static", "calibration_samples": 16}
START: RecipeDict = {
    **SMALL,
    "model": {"kind": "cnn", "channels": [4], "hidden": 8},
    "training": {
        "optimizer": {"kind": "adam", "lr": 0.005},
        "epochs": 1,
        "batch_size": 128,
        "seed": 1,
        "execution": SMALL["training"]["execution"],
    },
    "candidates": {"half": [{"kind": "prune_channels", "ratio": 0.5}], "int8": [QUANTIZE]},
}
TIMED_OR_AFTER = ("evaluate", "select", "package")
"""Tags of the nodes that are left out, but for predictions: they time, or judge, plot and pack what was timed."""


# ---- one run of a project, in a process of its own: Kedro and MLflow keep much for the whole process -----------------


@dataclass(frozen=True)
class Reads:
    """What one node depended on in a run, found out without the code under test."""

    parameters: dict[str, Any]
    inputs: list[tuple[str, str]]
    """Dataset and content, in the order of the function's arguments."""


@dataclass(frozen=True)
class Outcome:
    """One run: what was there before it and after it."""

    ran: list[str]
    reads: dict[str, Reads]
    outputs: dict[str, dict[str, str]]
    """Node -> dataset -> content after the run."""
    before: dict[str, dict[str, str]]
    """The same before the run."""
    paths: dict[str, Path]
    """Dataset -> where it lies."""


def run_project(folder: Path, with_verdict: bool = False, fresh: bool = False) -> Outcome:
    """Run the recipe `small` of the project in ``folder`` up to the predictions, or up to the verdict."""
    import logging

    import torch
    from kedro.framework.hooks import hook_impl
    from kedro.framework.project import pipelines
    from kedro.framework.startup import bootstrap_project

    from thresher.session import IncrementalSession

    torch.set_num_threads(1)
    bootstrap_project(folder)
    logging.getLogger("kedro").setLevel(logging.WARNING)
    ran: list[str] = []

    class Watcher:
        @hook_impl
        def before_node_run(self, node: Any) -> None:
            ran.append(node.name)

    with IncrementalSession.create(folder, runtime_params={"run": {"fresh": True}} if fresh else {}) as session:
        session._hook_manager.register(Watcher())
        context = session.load_context()
        left_out = {"package"} if with_verdict else set(TIMED_OR_AFTER)
        nodes = [
            node for node in pipelines["small"].nodes if not node.tags & left_out or node.name.endswith("predict_test")
        ]
        catalog, parameters = context.catalog, context.config_loader["parameters"]
        names = {name for node in nodes for name in [*node.inputs, *node.outputs] if not name.startswith("params:")}
        datasets = {name: catalog.get(name) for name in names}
        paths = {name: Path(data._filepath) for name, data in datasets.items() if hasattr(data, "_filepath")}
        before = {node.name: {name: content(paths[name]) for name in node.outputs} for node in nodes}
        session.run(pipeline_names=["small"], node_names=[node.name for node in nodes])
    reads = {node.name: read_by(node, parameters, paths) for node in nodes}
    after = {node.name: {name: content(paths[name]) for name in node.outputs} for node in nodes}
    return Outcome(ran, reads, after, before, paths)


def read_by(node: Any, parameters: dict[str, Any], paths: dict[str, Path]) -> Reads:
    given = [name.removeprefix("params:") for name in node.inputs if name.startswith("params:")]
    # The bundled digits are no file of the project, and nobody edits them.
    inputs = [(name, content(paths[name]) if name in paths else "digits") for name in node.inputs if name not in given]
    inputs = [(name, found) for name, found in inputs if not name.startswith("params:")]
    return Reads({name: value_of(name, parameters) for name in given}, inputs)


def value_of(name: str, parameters: dict[str, Any]) -> Any:
    value: Any = parameters
    for key in name.split("."):
        value = value[key]
    return value


def content(path: Path) -> str:
    """Return a hash of all bytes of a file or folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(file.relative_to(path)), file.read_bytes()) for file in files if file.is_file()]
    return hashlib.sha256(repr(found).encode()).hexdigest() if found else "nothing"


# ---- what may be edited ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edit:
    """A change of the recipe; its name is what a failure shows."""

    name: str
    apply: Callable[[RecipeDict], None] = field(repr=False)


def assign(*place: str | Any) -> Edit:
    """Return the edit that sets the value at the keys ``place[:-1]`` to ``place[-1]``."""
    *keys, last, value = place

    def apply(recipe: RecipeDict) -> None:
        section = recipe
        for key in keys:
            section = section.setdefault(key, {})
        section[last] = copy.deepcopy(value)

    return Edit(f"{'.'.join([*keys, last])} = {value}", apply)


def remove(*keys: str) -> Edit:
    def apply(recipe: RecipeDict) -> None:
        section = recipe
        for key in keys[:-1]:
            section = section.get(key, {})
        section.pop(keys[-1], None)

    return Edit(f"remove {'.'.join(keys)}", apply)


def turn_candidates(recipe: RecipeDict) -> None:
    recipe["candidates"] = dict(reversed(recipe["candidates"].items()))


def swap_splits(recipe: RecipeDict) -> None:
    data = recipe["data"]
    data["train"], data["test"] = data["test"], data["train"]


LABELS = {"column": "label", "min_value": 0, "max_value": 9}
CONTRACTS = [
    [{"expect_column_values_to_be_between": LABELS}],
    [{"expect_column_values_to_be_between": dict(reversed(LABELS.items()))}],
    [{"expect_column_values_to_be_between": LABELS}, {"expect_table_row_count_to_be_between": {"min_value": 10}}],
]
PRUNE = {"kind": "prune_channels", "ratio": 0.5}
CHAINS = [
    [PRUNE],
    [{**PRUNE, "ratio": 0.25}],
    [{**PRUNE, "scope": "layer"}],  # a default, written out
    [PRUNE, {"kind": "finetune", "epochs": 1}],
    [PRUNE, QUANTIZE],
    [{"kind": "prune_weights", "sparsity": 0.5}],
    [QUANTIZE],
    [{**QUANTIZE, "calibration_samples": 32}],
    [{"kind": "quantize_dynamic"}],
    {"from": "half", "steps": [QUANTIZE]},
    {"from": "half", "steps": [{"kind": "prune_weights", "sparsity": 0.5}]},
]
TURN = Edit("turn the order of candidates", turn_candidates)
MORE_EPOCHS = assign("training", "epochs", 2)
OTHER_OPTIMIZER = assign("training", "optimizer", {"kind": "sgd", "lr": 0.05})
OTHER_VALIDATION = assign("data", "validation", 0.2)
CANDIDATES = [
    *(assign("candidates", name, chain) for name in ("half", "int8") for chain in CHAINS if isinstance(chain, list)),
    *(assign("candidates", "int8", chain) for chain in CHAINS if isinstance(chain, dict)),
    remove("candidates", "half"),
    remove("candidates", "int8"),
    TURN,
]
LEARNING = [
    MORE_EPOCHS,
    OTHER_OPTIMIZER,
    assign("training", "optimizer", {"kind": "adam", "lr": 0.01}),
    assign("training", "seed", 2),
    assign("training", "batch_size", 64),
    assign("training", "device", "auto"),  # a default, written out
    assign("model", {"kind": "cnn", "channels": [6], "hidden": 8}),
    assign("model", "hidden", 12),
]
DATA = [
    OTHER_VALIDATION,
    assign("data", "validation", 0.1),  # a default, written out
    Edit("swap training and test split", swap_splits),
    *(assign("data", "contract", contract) for contract in CONTRACTS),
    remove("data", "contract"),
]
THE_REST = [
    assign("description", "Another"),
    assign("evaluation", "rounds", 12),
    assign("evaluation", "threads", 2),
    assign("selection", "require", {"accuracy_drop": {"at_most": 0.4}}),
    assign("serving", {"max_batch_size": 32}),
]
EDITS = st.one_of([st.sampled_from(group) for group in (CANDIDATES, LEARNING, DATA, THE_REST)])


@dataclass
class Step:
    """What is done before one run of the project.

    Attributes:
        undo: to which of the earlier states of the recipe it goes back first, counted from the last; 0 for none.
        lost: the number of an output that is deleted, None for none.
    """

    edits: list[Edit]
    layout: str = "plain"
    undo: int = 0
    lost: int | None = None


def steps() -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        edits=st.lists(EDITS, max_size=2),
        layout=st.sampled_from(["plain", "turned", "complete"]),
        undo=st.sampled_from([0, 0, 0, 1, 2]),
        lost=st.none() | st.none() | st.none() | st.integers(0, 100),
    )


def is_sound(recipe: RecipeDict) -> bool:
    from thresher.errors import RecipeError
    from thresher.recipe.reading import RecipeSource, check_recipe

    try:
        check_recipe(RecipeSource("small", "small.yml", recipe, {}))
    except RecipeError:
        return False
    return True


def edited(recipe: RecipeDict, edits: list[Edit]) -> RecipeDict:
    """Return ``recipe`` after those of ``edits`` that leave it sound."""
    for edit in edits:
        changed = copy.deepcopy(recipe)
        edit.apply(changed)
        if is_sound(changed):
            recipe = changed
    return recipe


def written(recipe: RecipeDict, layout: str) -> str:
    """Return ``recipe`` as YAML: as it is, with all mappings but that of candidates turned around, or with defaults."""
    from thresher.recipe import Recipe, dump

    if layout == "turned":
        sections = {
            key: value if key == "candidates" or not isinstance(value, dict) else dict(reversed(value.items()))
            for key, value in reversed(recipe.items())
        }
        return "# turned\n" + yaml.safe_dump(sections, sort_keys=False) + "# end\n"
    values = dump(Recipe.model_validate(recipe)) if layout == "complete" else recipe
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None)


# ---- the two projects ------------------------------------------------------------------------------------------------


class Bench:
    """A project in which edits follow each other, and one in which each recipe is run fresh."""

    def __init__(self, folder: Path, processes: list[ProcessPoolExecutor]) -> None:
        self._edited, self._fresh = Project(folder / "edited"), Project(folder / "fresh")
        self._processes = processes
        for project in (self._edited, self._fresh):
            project.write_configuration("local", "mlflow", TRACKING)
            for path in (project.folder / "pipelines").iterdir():
                path.unlink()
        self._known: dict[str, dict[str, Any]] = {}
        self._journal: dict[str, tuple[Reads, dict[str, str]]] = {}
        self.step(START, "plain")
        self._start = folder / "start", dict(self._journal)
        for part in ("data", ".thresher"):
            shutil.copytree(self._edited.folder / part, self._start[0] / part)

    def go_back(self) -> None:
        """Let the edited project be as it was after its first run."""
        folder, journal = self._start
        for part in ("data", ".thresher"):
            shutil.rmtree(self._edited.folder / part)
            shutil.copytree(folder / part, self._edited.folder / part)
        self._journal = dict(journal)

    def lose(self, number: int) -> None:
        """Delete one of the outputs that are there."""
        places = sorted({path for outputs in self._last.outputs.values() for path in map(self._place, outputs)})
        place = places[number % len(places)]
        note(f"delete {place.name}")
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)

    def step(self, recipe: RecipeDict, layout: str) -> None:
        """Run ``recipe`` in both projects, and compare."""
        text = written(recipe, layout)
        # The order of candidates tells nothing about the files that are compared, that of other keys nothing at all.
        key = json.dumps(recipe, sort_keys=True)
        ours = self._run(0, self._edited, text)
        fresh = self._run(1, self._fresh, text, fresh=True) if key not in self._known else None
        self._last = outcome = ours()
        if fresh is not None:
            made = fresh()
            assert sorted(made.ran) == sorted(made.outputs), "fresh runs everything"
            self._known[key] = {name: comparable(path) for name, path in made.paths.items()}
        self._check_results(outcome, self._known[key])
        self._check_runs(outcome)

    def judge(self, recipe: RecipeDict) -> tuple[list[str], set[str]]:
        """Run ``recipe`` up to its verdict; return whom that names, in its order, and which nodes ran."""
        ran = self._run(0, self._edited, written(recipe, "plain"), with_verdict=True)().ran
        verdict = self._edited.read_json("08_reporting/small/verdict.json")
        return [judged["candidate"] for judged in verdict["candidates"]], set(ran)

    def _run(self, process: int, project: Project, text: str, **options: bool) -> Callable[[], Outcome]:
        (project.folder / "pipelines" / "small.yml").write_text(text)
        return self._processes[process].submit(run_project, project.folder, **options).result

    def _place(self, dataset: str) -> Path:
        return self._last.paths[dataset]

    def _check_results(self, outcome: Outcome, fresh: dict[str, Any]) -> None:
        for node, outputs in outcome.outputs.items():
            for dataset in outputs:
                what = f"{dataset}, {'run' if node in outcome.ran else 'reused'}, is not what a fresh run gives"
                assert comparable(outcome.paths[dataset]) == fresh[dataset], what

    def _check_runs(self, outcome: Outcome) -> None:
        assert len(set(outcome.ran)) == len(outcome.ran), f"a node ran twice: {outcome.ran}"
        for node in outcome.ran:
            now = outcome.reads[node]
            if node in self._journal:
                reads, left = self._journal[node]
                same = reads == now and left == outcome.before[node]
                assert not same, f"{node} ran, although nothing that it depends on changed"
            self._journal[node] = now, outcome.outputs[node]


def comparable(path: Path) -> Any:
    """Return what must be equal wherever it was made.

    Three tell the time: a contract's report and its page when they were made, a training's history how long each epoch
    took. In JSON, as in a recipe, the order of keys means nothing: a report shows arguments as the recipe has them.
    """
    if path.name == "contract_report.json":
        return {key: value for key, value in json.loads(path.read_bytes()).items() if key != "created_at"}
    if path.name == "data_docs":
        pages = {page.name: re.sub("Checked .*? with", "", page.read_text()) for page in path.iterdir()}
        assert list(pages) == ["index.html"]
        return pages
    if path.name == "training_history.json":
        history = json.loads(path.read_bytes())
        for epoch in history["epochs"]:
            del epoch["seconds"]
        return history
    return content(path)


@pytest.fixture(scope="module")
def processes() -> Iterator[list[ProcessPoolExecutor]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("MLFLOW_", "KEDRO_"))]:
            patch.delenv(name)
        spawn = multiprocessing.get_context("spawn")
        pools = [ProcessPoolExecutor(1, mp_context=spawn) for _ in range(2)]
        yield pools
        for pool in pools:
            pool.shutdown()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, processes: list[ProcessPoolExecutor]) -> Bench:
    return Bench(Path(tmp_path_factory.mktemp("edits")), processes)


@settings(
    max_examples=int(EXAMPLES or 4),
    derandomize=EXAMPLES is None,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.explicit, Phase.generate],  # shrinking would take many minutes, and what was edited is few words
)
@given(st.lists(steps(), min_size=3, max_size=3))
@example([Step([MORE_EPOCHS]), Step([OTHER_OPTIMIZER, OTHER_VALIDATION]), Step([], undo=2)])
def test_after_any_edits_what_is_taken_is_right_and_what_runs_is_needed(bench: Bench, steps: list[Step]) -> None:
    bench.go_back()
    states = [START]
    for step in steps:
        if step.lost is not None:
            bench.lose(step.lost)
        recipe = edited(states[max(0, len(states) - 1 - step.undo)], step.edits)
        bench.step(recipe, step.layout)
        states.append(recipe)


def test_the_verdict_names_the_candidates_of_the_recipe_in_their_order(bench: Bench) -> None:
    """The champion's file is found by that order: another one would crown the wrong model."""
    bench.go_back()
    assert bench.judge(START)[0] == ["float", "half", "int8"]
    after_timing = {"compare_baseline", "judge_candidates", "draw_verdict", "write_reports"}
    turned, without = edited(START, [TURN]), edited(START, [remove("candidates", "half")])
    candidates, ran = bench.judge(turned)
    assert candidates == ["float", "int8", "half"]
    assert ran <= after_timing
    candidates, ran = bench.judge(without)
    assert candidates == ["float", "int8"]
    assert ran == after_timing
