"""Which nodes run, which are reused from earlier runs, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from thresher.caching.dependencies import data_only
from thresher.caching.invalidation import NEVER_RUN, changed_datasets, changed_dependency, changed_output, own_name
from thresher.caching.records import Dependencies, Record
from thresher.pipelines.stage import TIMED

Contents = Callable[[str], str | None]
"""Dataset -> its fingerprint as it is now."""


class Action(StrEnum):
    """What becomes of a node."""

    RUN = "run"
    """Something that it depends on changed, or its outputs did."""
    CHECK = "check"
    """It runs if what it reads comes out different."""
    REUSE = "reuse"
    """Its outputs are what another run of it would give, so that it does not run."""


@dataclass(frozen=True)
class Planned:
    """One node of a plan.

    Attributes:
        reason: why it runs; for a node to check, the node that decides it.
        record: of the run that it is reused from.
    """

    node: Node
    action: Action
    reason: str = ""
    record: Record | None = None


@dataclass(frozen=True)
class Plan:
    """Every selected node in the order of execution."""

    recipe: str
    nodes: tuple[Planned, ...]
    notes: tuple[str, ...] = ()
    """What the data cannot show of what the recipe asks, whatever runs."""
    shows: tuple[str, ...] = ()
    """What the test split can show of each bound with a confidence."""

    def of(self, action: Action) -> list[Planned]:
        """Return the nodes that ``action`` is planned for."""
        return [planned for planned in self.nodes if planned.action == action]


@dataclass(frozen=True)
class Knowledge:
    """What a plan is made from.

    Attributes:
        records: of the last run of every node, by its name.
        dependencies: of every node as they are now.
        contents: of every dataset as it is now.
        ran: names of the nodes that this run has run already.
        fresh: whether all of the others are to run, whatever is there.
    """

    recipe: str
    records: Mapping[str, Record]
    dependencies: Mapping[str, Dependencies]
    contents: Contents
    ran: Collection[str] = ()
    fresh: bool = False


def make_plan(selection: Pipeline, knowledge: Knowledge) -> Plan:
    """Return the plan for the nodes of ``selection``.

    From raw data downwards: a node's outputs are as its record says while it is reused, and open once it runs. What
    reads something open is decided when that is there: a node that runs may well give the same content as before.
    Where only its outputs are gone, it is expected to.
    """
    planned: dict[str, Planned] = {}
    made_by: dict[str, Planned] = {}
    expected: dict[str, str | None] = {}
    for node in selection.nodes:
        choice = _choose(node, knowledge, made_by, expected)
        planned[node.name] = choice
        for name in node.outputs:
            made_by[name] = choice
            if choice.record is not None:
                expected[name] = choice.record.outputs.get(name)
    return Plan(knowledge.recipe, tuple(planned.values()))


@dataclass(frozen=True)
class Wave:
    """What can be done of a plan before it is made anew.

    Attributes:
        reused: nodes that certainly do not run.
        run: nodes that nothing undecided stands before.
    """

    reused: tuple[Planned, ...]
    run: tuple[Planned, ...]


def next_wave(selection: Pipeline, plan: Plan) -> Wave:
    """Return what is certain of ``plan``.

    A node that runs may read from another that runs, since that gives its last word first. It may not read what could
    yet be made anew.
    """
    actions = {planned.node.name: planned.action for planned in plan.nodes}
    parents = selection.node_dependencies
    settled: set[str] = set()
    wave: set[str] = set()
    for node in selection.nodes:
        before = {parent.name for parent in parents[node]}
        if actions[node.name] == Action.REUSE and before <= settled:
            settled.add(node.name)
        elif actions[node.name] == Action.RUN and before <= settled | wave:
            wave.add(node.name)
    return Wave(
        reused=tuple(planned for planned in plan.nodes if planned.node.name in settled),
        run=tuple(planned for planned in plan.nodes if planned.node.name in wave),
    )


def _choose(
    node: Node, knowledge: Knowledge, made_by: Mapping[str, Planned], expected: Mapping[str, str | None]
) -> Planned:
    record = knowledge.records.get(node.name)
    again = node.name not in knowledge.ran
    if record is None:
        assert again, f"{node.name} ran and left no record"
        return Planned(node, Action.RUN, NEVER_RUN)
    if again and (knowledge.fresh or record.unfinished):
        return Planned(node, Action.RUN, "requested by --fresh" if knowledge.fresh else record.unfinished)
    inputs = data_only(node.inputs)
    reason = changed_dependency(record.dependencies, knowledge.dependencies[node.name])
    if reason := reason or changed_datasets(record, inputs, node.outputs, knowledge.recipe):
        return Planned(node, Action.RUN, reason)
    undecided: Planned | None = None
    for name in inputs:
        content = expected[name] if name in expected else knowledge.contents(name)
        if name in made_by and name not in expected:
            undecided = undecided or made_by[name]
        elif (content is None and again) or content != record.inputs[name]:
            what = "cannot be compared" if content is None else "changed"
            return Planned(node, Action.RUN, f"{own_name(name, knowledge.recipe)} {what}")
    if undecided is not None:
        root = undecided.reason if undecided.action == Action.CHECK else undecided.node.name
        return Planned(node, Action.CHECK, root)
    now = {name: knowledge.contents(name) for name in record.outputs}
    reason = changed_output(record, now, knowledge.recipe)
    if not reason or (not again and None in now.values()):
        return Planned(node, Action.REUSE, record=record)
    remade = None if TIMED in node.tags else record
    return Planned(node, Action.RUN, reason, remade)
