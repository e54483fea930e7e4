"""Which nodes' outputs in the data folder a champion descends from, by the records of what each node read and made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from thresher.caching.records import Record


@dataclass(frozen=True)
class Crowning:
    """A champion as records speak of it.

    Attributes:
        dataset: where it lies, `RECIPE.champion`.
        fingerprint: what that dataset holds now.
        crowned_in: the MLflow runs that may have registered it.
        runs: all that it descends from.
    """

    dataset: str
    fingerprint: str
    crowned_in: Collection[str]
    runs: Collection[str]


def find_lineage(
    records: Mapping[str, Record],
    crowning: Crowning,
    contents: Callable[[str], str | None],
    is_champions_file: Callable[[str], bool],
) -> set[str]:
    """Return the nodes with an output that the champion descends from, or that was made of it, and is still as it was.

    Args:
        contents: dataset -> its fingerprint as it is now.
        is_champions_file: whether a dataset holds the very file that was registered. It is asked where a later run,
            which kept the champion, has overwritten the record of its crowning.
    """
    needed = _starts(records, crowning, is_champions_file)
    waiting = list(needed)
    while waiting:
        for name, content in records[waiting.pop()].inputs.items():
            for node in _makers(records, name, content, crowning):
                if node not in needed:
                    waiting.append(node)
                needed.setdefault(node, set()).add(name)
    for node, record in records.items():
        # A Bento that is gone would be built again by the next run.
        if record.inputs.get(crowning.dataset) == crowning.fingerprint:
            needed.setdefault(node, set()).update(record.outputs)
    return {
        node for node, names in needed.items() if any(contents(name) == records[node].outputs[name] for name in names)
    }


def _makers(records: Mapping[str, Record], name: str, content: str | None, crowning: Crowning) -> list[str]:
    """Return the nodes that left ``content`` in the dataset ``name``."""
    # Who kept the champion gave it on and has no part in it.
    if name == crowning.dataset:
        return []
    return [node for node, record in records.items() if name in record.outputs and record.outputs[name] == content]


def _starts(
    records: Mapping[str, Record], crowning: Crowning, is_champions_file: Callable[[str], bool]
) -> dict[str, set[str]]:
    """Return node -> outputs where the way upwards begins: the crowning, or all that its runs left and its file."""
    crowned = {
        node: {crowning.dataset}
        for node, record in records.items()
        if record.outputs.get(crowning.dataset) == crowning.fingerprint and record.run_id in crowning.crowned_in
    }
    if crowned:
        return crowned
    starts = {node: set(record.outputs) for node, record in records.items() if record.run_id in crowning.runs}
    for node, record in records.items():
        if files := {name for name in record.outputs if is_champions_file(name)}:
            starts.setdefault(node, set()).update(files)
    return starts
