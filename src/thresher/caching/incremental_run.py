"""One run that leaves out what earlier runs have done."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from thresher.adapters.kedro import Catalog
from thresher.caching.dependencies import data_only, find_dependencies
from thresher.caching.file_hashes import FileHashes
from thresher.caching.fingerprints import CatalogContents
from thresher.caching.plan import Knowledge, Plan, make_plan, next_wave
from thresher.caching.recording_node import Datasets, Recording, RecordingFunction
from thresher.caching.records import STATE_FOLDER, Record, Records
from thresher.code_fingerprint.graph import CodeGraph

OnReused = Callable[[Node, Record], Any]
RunNodes = Callable[[Pipeline], Any]


class IncrementalRun:
    """Plans the selected nodes of a recipe, runs what must be, and plans again with what came out."""

    def __init__(
        self, project: Path, recipe: str, whole: Pipeline, parameters: dict[str, Any], catalog: Catalog
    ) -> None:
        """Find out what every node depends on.

        Args:
            whole: the recipe's pipeline, from raw data to the Bento.
            parameters: the recipes as Kedro knows them.
        """
        self._recipe, self._whole, self._catalog = recipe, whole, catalog
        self._hash_file = project / STATE_FOLDER / "hashes.db"
        self._records = Records(project, recipe)
        hashes = FileHashes(self._hash_file)
        self._contents = CatalogContents(catalog, hashes)
        graph = CodeGraph(hashes.of, project / STATE_FOLDER / "sources.json")
        self._dependencies = find_dependencies(recipe, whole, parameters, self._contents, graph, project)
        graph.save()
        hashes.save()

    def plan(self, selection: Pipeline, ran: set[str], fresh: bool) -> Plan:
        """Return the plan for ``selection`` by what is there now, when the nodes named in ``ran`` have run."""
        hashes = FileHashes(self._hash_file)
        contents = CatalogContents(self._catalog, hashes)
        knowledge = Knowledge(
            self._recipe, self._records.read_all(), self._dependencies, contents.of, frozenset(ran), fresh
        )
        plan = make_plan(selection, knowledge)
        hashes.save()
        return plan

    def execute(self, selection: Pipeline, plan: Plan, run_nodes: RunNodes, on_reused: OnReused, fresh: bool) -> None:
        """Run what ``plan`` says, in waves, until all outputs of ``selection`` are what a fresh run would give.

        Args:
            run_nodes: runs a pipeline with the runner that the user chose.
            on_reused: told of every node that does not run, once that is certain.
        """
        ran: set[str] = set()
        told: set[str] = set()
        while True:
            wave = next_wave(selection, plan)
            for planned in wave.reused:
                if planned.node.name not in ran | told:
                    assert planned.record is not None
                    told.add(planned.node.name)
                    on_reused(planned.node, planned.record)
            if not wave.run:
                return
            run_nodes(Pipeline([self._recorded(planned.node) for planned in wave.run]))
            ran.update(planned.node.name for planned in wave.run)
            plan = self.plan(selection, ran, fresh)

    def record_all(self, selection: Pipeline) -> Pipeline:
        """Return ``selection`` with every node recorded, for a run that leaves out nothing by our plan."""
        return Pipeline([self._recorded(node) for node in selection.nodes])

    def _recorded(self, node: Node) -> Node:
        function = node.func.function if isinstance(node.func, RecordingFunction) else node.func
        recording = Recording(
            node=node.name,
            dependencies=self._dependencies[node.name],
            inputs=self._datasets(data_only(node.inputs)),
            outputs=self._datasets(node.outputs),
            records=self._records,
            hashes=self._hash_file,
            overwritten=self._overwritten(node),
        )
        recorded = copy.copy(node)
        assert recorded.inputs is not None  # Kedro's setter of func forgets what it takes to be there
        recorded.func = RecordingFunction(function, recording)
        return recorded

    def _datasets(self, names: list[str]) -> Datasets:
        return {name: self._contents.dataset(name) for name in names}

    def _overwritten(self, node: Node) -> tuple[tuple[str, str, str], ...]:
        places = {self._contents.place(output): output for output in node.outputs}
        return tuple(
            (reader.name, given, places[self._contents.place(given)])
            for reader in self._whole.nodes
            for given in data_only(reader.inputs)
            if self._contents.place(given) in places and given not in node.outputs
        )
