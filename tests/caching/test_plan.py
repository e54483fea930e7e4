"""Which nodes a plan runs, which it leaves open and which it takes, and the waves that it is carried out in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline

from thresher.caching.fingerprints import ABSENT
from thresher.caching.plan import Action, Knowledge, Plan, make_plan, next_wave
from thresher.caching.records import Dependencies, Record
from thresher.pipelines.stage import TIMED

# Kedro's advice against the dots that the catalog's patterns read.
pytestmark = pytest.mark.filterwarnings("ignore:One or more dataset names contain")

RUN, CHECK, REUSE = Action.RUN, Action.CHECK, Action.REUSE


def pass_on(*values: Any) -> Any:
    """Stand for any function: a plan calls none."""
    return values


def step(inputs: list[str] | str, outputs: list[str] | str, name: str, *tags: str) -> Node:
    return Node(pass_on, inputs, outputs, name=name, tags=list(tags))


def depends(**changed: Any) -> Dependencies:
    parts: dict[str, Any] = {"code": {"a/nodes.py": "1"}, "parameters": {}, "versions": {}, "machine": {}, "raw": {}}
    return Dependencies(**parts | changed)


def record_of(node: Node, **changed: Any) -> Record:
    """Return the record of ``node`` after a run in which each dataset held its own name."""
    parts = {
        "node": node.name,
        "dependencies": depends(),
        "inputs": {name: name for name in node.inputs if not name.startswith("params:")},
        "outputs": {name: name for name in node.outputs},
        "run_id": "1",
        "experiment_id": "1",
        "made_at": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0,
        "machine": {},
    }
    return Record(**parts | changed)


@dataclass
class Situation:
    """Nodes that have all run, and what changed since: of a dataset, of dependencies, of records."""

    pipeline: Pipeline
    contents: dict[str, str | None] = field(default_factory=dict)
    dependencies: dict[str, Dependencies] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    ran: tuple[str, ...] = ()
    fresh: bool = False

    def plan(self) -> Plan:
        records = {node.name: record_of(node) for node in self.pipeline.nodes} | self.records
        knowledge = Knowledge(
            recipe="small",
            records={name: record for name, record in records.items() if record is not None},
            dependencies={node.name: self.dependencies.get(node.name, depends()) for node in self.pipeline.nodes},
            contents=lambda name: self.contents.get(name, name),
            ran=self.ran,
            fresh=self.fresh,
        )
        return make_plan(self.pipeline, knowledge)

    def actions(self) -> dict[str, Action]:
        return {planned.node.name: planned.action for planned in self.plan().nodes}

    def reason(self, name: str) -> str:
        (planned,) = (planned for planned in self.plan().nodes if planned.node.name == name)
        return planned.reason

    def wave(self) -> tuple[list[str], list[str]]:
        """Return the nodes that are certainly reused, and those to run now."""
        wave = next_wave(self.pipeline, self.plan())
        return [planned.node.name for planned in wave.reused], [planned.node.name for planned in wave.run]


@pytest.fixture
def chain() -> Situation:
    """Return data -> split -> train -> export, with an encoder beside, in the order of execution."""
    return Situation(
        Pipeline(
            [
                step(["data", "params:small.seed"], ["small.samples", "small.test"], "split"),
                step("small.samples", "small.encoder", "encode"),
                step(["small.samples", "params:small.training"], "small.network", "train"),
                step(["small.network", "small.encoder"], "small.onnx", "export"),
            ]
        )
    )


def test_all_is_taken_where_nothing_changed(chain: Situation) -> None:
    plan = chain.plan()
    assert {planned.action for planned in plan.nodes} == {REUSE}
    assert all(planned.record is not None and planned.record.node == planned.node.name for planned in plan.nodes)
    assert chain.wave() == (["split", "encode", "train", "export"], [])


def test_a_plan_gives_the_nodes_of_one_action_in_their_order(chain: Situation) -> None:
    chain.contents["small.encoder"] = ABSENT
    plan = chain.plan()
    found = {action: [planned.node.name for planned in plan.of(action)] for action in Action}
    assert found == {RUN: ["encode"], CHECK: [], REUSE: ["split", "train", "export"]}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({"parameters": {"training.epochs": 1}}, {"parameters": {"training.epochs": 2}}, "training.epochs 1 -> 2"),
        ({"code": {"a/nodes.py": "2"}}, {}, "a/nodes.py changed"),
        ({"versions": {"torch": "1"}}, {"versions": {"torch": "2"}}, "torch 1 -> 2"),
        ({"machine": {"cores": "1"}}, {"machine": {"cores": "2"}}, "another machine: cores 1 -> 2"),
        ({"raw": {"data": "1"}}, {"raw": {"data": "2"}}, "raw data changed: data"),
    ],
)  # fmt: skip
def test_a_changed_dependency_runs_its_node_and_leaves_open_what_reads_from_it(
    chain: Situation, old: dict[str, Any], new: dict[str, Any], reason: str
) -> None:
    train = chain.pipeline.nodes[2]
    chain.records["train"] = record_of(train, dependencies=depends(**old))
    chain.dependencies["train"] = depends(**new)
    assert chain.actions() == {"split": REUSE, "encode": REUSE, "train": RUN, "export": CHECK}
    assert chain.reason("train") == reason
    assert chain.reason("export") == "train"
    assert chain.wave() == (["split", "encode"], ["train"])


def test_what_is_open_is_decided_by_what_came_out(chain: Situation) -> None:
    chain.dependencies["split"] = depends(parameters={"seed": 2})
    assert chain.actions() == {"split": RUN, "encode": CHECK, "train": CHECK, "export": CHECK}
    assert chain.reason("export") == "split"
    chain.records["split"] = record_of(chain.pipeline.nodes[0], dependencies=depends(parameters={"seed": 2}))
    chain.ran = ("split",)
    assert set(chain.actions().values()) == {REUSE}
    chain.contents["small.samples"] = "other"
    outputs = {"small.samples": "other", "small.test": "small.test"}
    chain.records["split"] = chain.records["split"].model_copy(update={"outputs": outputs})
    assert chain.actions() == {"split": REUSE, "encode": RUN, "train": RUN, "export": CHECK}
    assert chain.reason("train") == "samples changed"
    assert chain.wave() == (["split"], ["encode", "train"])


def test_changed_raw_data_runs_what_reads_it(chain: Situation) -> None:
    chain.contents["data"] = "other"
    assert chain.actions() == {"split": RUN, "encode": CHECK, "train": CHECK, "export": CHECK}
    assert chain.reason("split") == "data changed"


def test_a_node_without_a_record_runs_and_leaves_open_what_reads_from_it(chain: Situation) -> None:
    chain.records["train"] = None
    assert chain.actions() == {"split": REUSE, "encode": REUSE, "train": RUN, "export": CHECK}
    assert chain.reason("train") == "not run before"
    chain.records["export"] = None
    assert chain.wave() == (["split", "encode"], ["train", "export"])


def test_nodes_that_certainly_run_are_one_wave_however_they_depend_on_each_other(chain: Situation) -> None:
    chain.records = dict.fromkeys(("split", "encode", "train", "export"))
    assert chain.wave() == ([], ["split", "encode", "train", "export"])


def test_a_node_that_runs_waits_for_what_is_open_before_it(chain: Situation) -> None:
    chain.dependencies["split"] = depends(parameters={"seed": 2})
    chain.dependencies["export"] = depends(code={"a/nodes.py": "2"})
    assert chain.actions() == {"split": RUN, "encode": CHECK, "train": CHECK, "export": RUN}
    assert chain.wave() == ([], ["split"])


def test_a_deleted_output_is_expected_to_come_out_the_same(chain: Situation) -> None:
    chain.contents["small.samples"] = ABSENT
    assert chain.actions() == {"split": RUN, "encode": REUSE, "train": REUSE, "export": REUSE}
    assert chain.reason("split") == "output samples deleted"
    # What reads from it is not certain before it is there: it could come out otherwise after all.
    assert chain.wave() == ([], ["split"])
    chain.ran, chain.contents["small.samples"] = ("split",), "other"
    outputs = {"small.samples": "other", "small.test": "small.test"}
    chain.records["split"] = record_of(chain.pipeline.nodes[0], outputs=outputs)
    assert chain.actions() == {"split": REUSE, "encode": RUN, "train": RUN, "export": CHECK}


def test_several_deleted_outputs_are_made_anew_together(chain: Situation) -> None:
    chain.contents |= {"small.samples": ABSENT, "small.network": ABSENT}
    assert chain.actions() == {"split": RUN, "encode": REUSE, "train": RUN, "export": REUSE}
    assert chain.wave() == ([], ["split", "train"])


def test_a_node_that_reads_both_what_is_made_anew_and_what_is_taken_waits(chain: Situation) -> None:
    chain.contents |= {"small.samples": ABSENT, "small.onnx": ABSENT}
    assert chain.actions() == {"split": RUN, "encode": REUSE, "train": REUSE, "export": RUN}
    assert chain.wave() == ([], ["split"])


def test_an_altered_output_is_made_anew(chain: Situation) -> None:
    chain.contents["small.onnx"] = "edited by hand"
    assert chain.actions() == {"split": REUSE, "encode": REUSE, "train": REUSE, "export": RUN}
    assert chain.reason("export") == "output onnx altered"


def test_a_changed_dependency_comes_before_an_altered_output(chain: Situation) -> None:
    chain.contents["small.network"] = ABSENT
    chain.dependencies["train"] = depends(parameters={"training.epochs": 2})
    assert chain.reason("train") == "training.epochs none -> 2"
    assert chain.actions()["export"] == CHECK


def test_a_deleted_output_of_a_timed_node_is_not_expected_to_come_out_the_same() -> None:
    timing = step("small.onnx", "small.evaluation", "evaluate", TIMED)
    situation = Situation(Pipeline([timing, step("small.evaluation", "small.verdict", "judge")]))
    situation.contents["small.evaluation"] = ABSENT
    assert situation.actions() == {"evaluate": RUN, "judge": CHECK}
    assert situation.reason("judge") == "evaluate"


def test_fresh_runs_everything_once(chain: Situation) -> None:
    chain.fresh = True
    assert set(chain.actions().values()) == {RUN}
    assert chain.reason("train") == "requested by --fresh"
    assert chain.wave() == ([], ["split", "encode", "train", "export"])
    chain.ran = ("split", "encode", "train", "export")
    assert set(chain.actions().values()) == {REUSE}


def test_an_unfinished_node_runs_again_once(chain: Situation) -> None:
    chain.records["split"] = record_of(chain.pipeline.nodes[0], unfinished="the contract did not hold")
    assert chain.actions() == {"split": RUN, "encode": CHECK, "train": CHECK, "export": CHECK}
    assert chain.reason("split") == "the contract did not hold"
    chain.ran = ("split",)
    assert set(chain.actions().values()) == {REUSE}


def test_an_output_that_is_not_kept_is_made_in_every_run_and_so_is_what_reads_it(chain: Situation) -> None:
    """A dataset in memory, or in a database: what it holds cannot be known."""
    chain.contents["small.network"] = None
    unknown = {"small.network": None}
    chain.records["train"] = record_of(chain.pipeline.nodes[2], outputs=unknown)
    inputs = {**unknown, "small.encoder": "small.encoder"}
    chain.records["export"] = record_of(chain.pipeline.nodes[3], inputs=inputs)
    assert chain.actions() == {"split": REUSE, "encode": REUSE, "train": RUN, "export": RUN}
    assert chain.reason("train") == "network is not kept"
    assert chain.reason("export") == "network cannot be compared"
    assert chain.wave() == (["split", "encode"], ["train", "export"])
    chain.ran = ("train", "export")
    assert set(chain.actions().values()) == {REUSE}
    assert chain.wave()[1] == []


def test_an_input_from_outside_that_cannot_be_known_runs_its_reader_once(chain: Situation) -> None:
    chain.contents["data"] = None
    chain.records["split"] = record_of(chain.pipeline.nodes[0], inputs={"data": None})
    assert chain.actions() == {"split": RUN, "encode": CHECK, "train": CHECK, "export": CHECK}
    assert chain.reason("split") == "data cannot be compared"
    chain.ran = ("split",)
    assert set(chain.actions().values()) == {REUSE}


def test_an_input_that_was_unknown_and_is_known_now_runs_its_reader(chain: Situation) -> None:
    chain.records["split"] = record_of(chain.pipeline.nodes[0], inputs={"data": None})
    assert chain.reason("split") == "data changed"


def test_nodes_outside_of_the_selection_neither_run_nor_leave_anything_open(chain: Situation) -> None:
    chain.dependencies["train"] = depends(parameters={"training.epochs": 2})
    chain.pipeline = Pipeline([node for node in chain.pipeline.nodes if node.name in ("encode", "export")])
    assert chain.actions() == {"encode": REUSE, "export": REUSE}


def judge(*names: str) -> Node:
    return step([f"small.{name}.evaluation" for name in names], "small.verdict", "judge")


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (("float", "half"), ("float", "half", "int8"), "int8.evaluation is read now"),
        (("float", "half", "int8"), ("float", "int8"), "half.evaluation is read no more"),
        (("float", "half", "int8"), ("float", "int8", "half"), "its inputs stand in another order"),
        (("float", "half"), ("float", "int8"), "int8.evaluation is read now"),
    ],
)
def test_a_node_that_reads_others_or_in_another_order_runs(
    before: tuple[str, ...], now: tuple[str, ...], reason: str
) -> None:
    """The verdict is in the order of the recipe's candidates, and the champion's file is found by it."""
    situation = Situation(Pipeline([judge(*now)]), records={"judge": record_of(judge(*before))})
    assert situation.actions() == {"judge": RUN}
    assert situation.reason("judge") == reason


def test_a_node_that_makes_something_else_runs() -> None:
    """A candidate that is quantized from now on: what its export wrote to one place goes to another."""
    before = step("small.half.network", "small.half.onnx", "half.export")
    now = step("small.half.network", "small.half.unquantized_onnx", "half.export")
    situation = Situation(Pipeline([now]), records={"half.export": record_of(before)})
    assert situation.actions() == {"half.export": RUN}
    assert situation.reason("half.export") == "half.unquantized_onnx was not made before"
