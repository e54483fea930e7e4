"""Runs of random pipelines after random changes, simulated: what is planned is right, needed, and done once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st
from kedro.pipeline import Node, Pipeline

from thresher.caching.fingerprints import ABSENT
from thresher.caching.incremental_run import IncrementalRun
from thresher.caching.plan import Knowledge, Plan, make_plan
from thresher.caching.records import Dependencies, Record
from thresher.pipelines.stage import TIMED

RAW = ("raw0", "raw1")
MAX_NODES = 6
IN_MEMORY = "memory"
UNSTEADY = ("seconds", TIMED)
"""Tags of nodes that give something else at every run: untagged in the package, as a training's history, or timed."""


def pass_on(*values: Any) -> Any:
    """Stand for any function: the simulation says what comes out."""
    return values


@dataclass
class Shape:
    """One node: what it reads, by the numbers of earlier nodes or raw data, and how many outputs it has."""

    reads: list[str]
    outputs: int
    tags: list[str]

    def node(self, number: int) -> Node:
        return Node(pass_on, self.reads, self.makes(number), name=f"n{number}", tags=self.tags)

    def makes(self, number: int) -> list[str]:
        return [f"d{number}_{index}" for index in range(self.outputs)]


@dataclass
class World(IncrementalRun):
    """The state of a project: what every dataset holds, what each node depends on, and the records."""

    shapes: dict[int, Shape]
    contents: dict[str, str] = field(default_factory=lambda: dict.fromkeys(RAW, "0"))
    code: dict[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    unique: Callable[[], int] = itertools.count().__next__

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline([shape.node(number) for number, shape in self.shapes.items()])

    def plan(self, selection: Pipeline, ran: set[str], fresh: bool) -> Plan:
        dependencies = {node.name: self.depends(node.name) for node in selection.nodes}
        return make_plan(selection, Knowledge("r", dict(self.records), dependencies, self.known, ran, fresh))

    def depends(self, name: str) -> Dependencies:
        return Dependencies(code={"nodes.f": self.code.get(name, "")}, parameters={}, versions={}, machine={}, raw={})

    def known(self, dataset: str) -> str | None:
        """Return the fingerprint of ``dataset``: None where it is in memory."""
        maker = next((shape for number, shape in self.shapes.items() if dataset in shape.makes(number)), None)
        return None if maker and IN_MEMORY in maker.tags else self.contents.get(dataset, ABSENT)

    def run(self, fresh: bool = False) -> list[str]:
        """Run as the package does and return the nodes that ran, in their order; what is in memory is lost first."""
        for number, shape in self.shapes.items():
            for dataset in shape.makes(number) if IN_MEMORY in shape.tags else ():
                self.contents.pop(dataset, None)
        self.runs = []
        pipeline = self.pipeline
        told: list[str] = []
        plan = self.plan(pipeline, set(), fresh)
        self.execute(pipeline, plan, self._run_nodes, lambda node, _: told.append(node.name), fresh)
        assert sorted(told + self.runs) == sorted(node.name for node in pipeline.nodes), "each once, run or reused"
        return self.runs

    def _recorded(self, node: Node) -> Node:
        return node

    def _run_nodes(self, wave: Pipeline) -> None:
        for node in wave.nodes:
            self.runs.append(node.name)
            read = {name: self.known(name) for name in node.inputs}
            for name, content in self.results(node).items():
                self.contents[name] = content
            made = {name: self.known(name) for name in node.outputs}
            self.records[node.name] = Record(
                node=node.name, dependencies=self.depends(node.name), inputs=read, outputs=made,
                run_id="", experiment_id="", made_at="", seconds=0, machine={},
            )  # fmt: skip

    def results(self, node: Node) -> dict[str, str]:
        """Return what ``node`` gives now; every third dataset shows no trace of what it was made from."""
        unsteady = str(self.unique()) if node.tags & set(UNSTEADY) else ""
        made_from = [self.code.get(node.name, ""), *(self.contents[name] for name in node.inputs), unsteady]
        text = "|".join(made_from)
        return {name: text if crc32(name.encode()) % 3 else str(len(made_from)) for name in node.outputs}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    shapes: dict[int, Shape] = {}
    for number in range(draw(st.integers(1, MAX_NODES))):
        shapes[number] = draw(a_shape(shapes))
    return World(shapes)


def a_shape(earlier: dict[int, Shape]) -> st.SearchStrategy[Shape]:
    readable = [*RAW, *(name for number, shape in earlier.items() for name in shape.makes(number))]
    return st.builds(
        Shape,
        reads=st.lists(st.sampled_from(readable), min_size=1, max_size=3, unique=True),
        outputs=st.integers(1, 2),
        tags=st.sampled_from([[], [], [], [TIMED], ["seconds"], [IN_MEMORY]]),
    )


def change(draw: st.DrawFn, world: World) -> None:
    """Do one thing that a user may do between two runs."""
    numbers = st.sampled_from(sorted(world.shapes))
    what = draw(st.sampled_from(["raw", "code", "delete", "alter", "rewire", "record", "nothing"]))
    number = draw(numbers)
    name, made = f"n{number}", world.shapes[number].makes(number)
    if what == "raw":
        world.contents[draw(st.sampled_from(RAW))] = draw(st.sampled_from("012"))
    elif what == "code":
        world.code[name] = draw(st.sampled_from("012"))
    elif what == "delete":
        world.contents.pop(made[0], None)
    elif what == "alter":
        world.contents[made[0]] = draw(st.sampled_from(["edited", "0"]))
    elif what == "rewire":
        earlier = {other: shape for other, shape in world.shapes.items() if other < number}
        shape = replace(draw(a_shape(earlier)), tags=world.shapes[number].tags)
        if shape.outputs >= len(made) or not any(set(made) & set(other.reads) for other in world.shapes.values()):
            world.shapes[number] = shape
    elif what == "record":
        world.records.pop(name, None)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.data(), worlds())
def test_after_every_run_all_is_as_a_fresh_run_would_leave_it_and_nothing_ran_for_nothing(
    data: st.DataObject, world: World
) -> None:
    world.run()
    for _ in range(data.draw(st.integers(1, 4), label="runs")):
        for _ in range(data.draw(st.integers(0, 3), label="changes")):
            change(data.draw, world)
        before, there = dict(world.records), dict(world.contents)
        fresh = data.draw(st.sampled_from([False, False, False, False, True]), label="fresh")
        ran = world.run(fresh)
        for node in world.pipeline.nodes:
            record = world.records[node.name]
            assert record.dependencies == world.depends(node.name)
            assert list(record.inputs.items()) == [(name, world.known(name)) for name in node.inputs], node.name
            assert list(record.outputs.items()) == [(name, world.known(name)) for name in node.outputs], node.name
            if not node.tags & set(UNSTEADY):
                assert {name: world.contents[name] for name in node.outputs} == world.results(node), node.name
            if node.name in ran:
                assert fresh or had_to_run(world, node, before.get(node.name), there), node.name


def had_to_run(world: World, node: Node, old: Record | None, there: dict[str, str]) -> bool:
    """Return whether ``node`` had to run: by what it read in the end, and by its outputs as they were before."""
    if old is None or old.dependencies != world.depends(node.name):
        return True
    read = [(name, world.known(name)) for name in node.inputs]
    made = [(name, None if IN_MEMORY in node.tags else there.get(name, ABSENT)) for name in node.outputs]
    unknown = None in {content for _, content in read + made}
    return unknown or list(old.inputs.items()) != read or list(old.outputs.items()) != made


@settings(max_examples=50, derandomize=True, deadline=None)
@given(worlds())
def test_a_second_run_leaves_out_all_that_can_be_known(world: World) -> None:
    first = world.run()
    assert sorted(first) == sorted(node.name for node in world.pipeline.nodes)
    in_memory = {
        name for number, shape in world.shapes.items() for name in shape.makes(number) if world.known(name) is None
    }
    touched = {node.name for node in world.pipeline.nodes if in_memory & {*node.inputs, *node.outputs}}
    again = set(world.run())
    assert touched <= again
    if not in_memory:
        assert not again
