"""A plan as a person reads it, in the terminal, by `thresher plan` and in MLflow."""

from __future__ import annotations

from collections.abc import Sequence

from thresher.caching.plan import Action, Plan, Planned
from thresher.caching.records import Record
from thresher.pipelines.stage import TIMED

SHORT_ID = 8


def plan_title(plan: Plan) -> str:
    """Return what a plan comes to, in one sentence."""
    counts = {action: len(plan.of(action)) for action in Action}
    parts = [f"{counts[Action.RUN]} of {len(plan.nodes)} nodes run" if counts[Action.RUN] else "nothing runs"]
    if counts[Action.CHECK]:
        parts.append(f"{counts[Action.CHECK]} more if what they read comes out different")
    if counts[Action.REUSE]:
        parts.append(f"{counts[Action.REUSE]} reused from earlier runs")
    return f"Plan for {plan.recipe}: {', '.join(parts)}"


def plan_groups(plan: Plan) -> list[tuple[str, str, list[str]]]:
    """Return (run, maybe or reused; why; names of nodes), each reason once, in the order of execution.

    One reason for all of them names none.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for planned in plan.of(Action.RUN):
        groups.setdefault(("run", planned.reason), []).append(planned.node.name)
    for planned in plan.of(Action.CHECK):
        why = f"unless {planned.reason} gives the same as before"
        groups.setdefault(("maybe", why), []).append(planned.node.name)
    reused: dict[str, list[Planned]] = {}
    for planned in plan.of(Action.REUSE):
        assert planned.record is not None
        reused.setdefault(planned.record.run_id, []).append(planned)
    for members in reused.values():
        groups["reused", describe_origin(members)] = [planned.node.name for planned in members]
    if len(groups) == 1:
        return [(*what, ["every node"]) for what in groups]
    return [(*what, nodes) for what, nodes in groups.items()]


def plan_text(plan: Plan) -> str:
    """Return the whole plan as plain text."""
    lines = [f"  {word:6} {why}: {', '.join(nodes)}" for word, why, nodes in plan_groups(plan)]
    lines += [f"  shows  {_below_each_other(shown)}" for shown in plan.shows]
    lines += [f"  note   {note}" for note in plan.notes]
    return "\n".join([plan_title(plan), *lines, ""])


def describe_origin(members: Sequence[Planned]) -> str:
    """Return which run the outputs of ``members`` are reused from; where they were timed, on what machine, too."""
    records = [planned.record for planned in members if planned.record is not None]
    timed = [planned.record for planned in members if TIMED in planned.node.tags and planned.record is not None]
    where = f", timed on {_machine(timed[0])}" if timed else ""
    return f"from run {records[0].run_id[:SHORT_ID]} of {_moment(records[-1])}{where}"


def _moment(record: Record) -> str:
    return f"{record.made_at[:16].replace('T', ' ')} UTC"


def _machine(record: Record) -> str:
    return f"{record.machine['processor']}, {record.machine['cores']} cores"


def _below_each_other(text: str) -> str:
    """Return ``text`` with its further lines below its first, which stands behind a word of the plan."""
    return text.replace("\n", "\n" + " " * len("  shows  "))
