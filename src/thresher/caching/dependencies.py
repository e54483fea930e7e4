"""What every node of a recipe depends on, known before anything runs."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from thresher.caching.fingerprints import ABSENT, CatalogContents
from thresher.caching.records import Dependencies
from thresher.code_fingerprint.graph import CodeGraph
from thresher.code_fingerprint.kinds import find_kinds
from thresher.kinds.record import MetricKind
from thresher.kinds.registry import registry
from thresher.machine import describe_machine
from thresher.modalities import encoder_classes
from thresher.packaging.build_context import PackagingError, context_files
from thresher.pipelines.stage import MODEL_FILE, TIMED
from thresher.serving.requirements import pinned_packages
from thresher.tracking.parameters import flatten

# These carry values and compute none: a new version of them is no reason to train again.
CARRIERS = {"kedro", "pydantic", "pydantic_core", "rich", "click"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "_bentoml_sdk": "bentoml",
    "attr": "attrs",
    "google": "protobuf",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection",
    "opentelemetry": "opentelemetry-api",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Module -> the distribution that has it, where the names differ; to ask for it takes half a second."""
# What torch's ONNX exporter calls, although no line of ours names it.
# And what pandas reads Parquet with.
BRINGS_ALONG = {"torch": ("onnxscript", "onnx_ir"), "pandas": ("pyarrow",)}
NO_ROOTS = {"kedro", "thresher", *sys.stdlib_module_names}
"""Packages whose classes add nothing to a dataset's own code: what it imports of Thresher is followed."""
BENTOFILE = "bentofile_path"
"""The input of the node that packs a Bento."""
PARAMETERS = ("params:", "parameters")


def find_dependencies(
    recipe: str,
    pipeline: Pipeline,
    parameters: Mapping[str, Any],
    contents: CatalogContents,
    graph: CodeGraph,
    project: Path,
) -> dict[str, Dependencies]:
    """Return the dependencies of every node of ``pipeline``, which is the whole of ``recipe``.

    Args:
        parameters: the recipes as Kedro knows them, every default written out.
        project: whose bentofile.yaml says what a Bento packs.
    """
    slices = {node.name: taken_parameters(node, parameters) for node in pipeline.nodes}
    lineage = _lineages(pipeline)
    named = {value for value in parameters[recipe]["data"].values() if isinstance(value, str)}
    named |= set(parameters[recipe]["data"].get("tests", {}).values())
    named |= {name for name in pipeline.inputs() if name.endswith(f".{MODEL_FILE}")}
    raw = {name: contents.of(name) or ABSENT for name in sorted(named & set(pipeline.inputs()))}
    bracketed = {kind.name for kind in registry().usable(MetricKind) if kind.takes and not kind.may_be_bare}
    words = {
        name: _kinds_in({word for key, value in taken.items() for word in _words(key, value)}, bracketed)
        for name, taken in slices.items()
    }
    kinds = find_kinds(set[str]().union(*words.values()))
    machine = describe_machine()
    found = {}
    for node in pipeline.nodes:
        family = [*lineage[node.name], node]
        named = set[str]().union(*(words[member.name] for member in family))
        code = graph.reach(_roots(node, contents), named, kinds)
        read = {name for member in family for name in member.inputs}
        packs = BENTOFILE in node.inputs
        found[node.name] = Dependencies(
            code=code.files,
            parameters=slices[node.name],
            versions=find_versions(frozenset(code.packages)) | (find_pins() if packs else {}),
            files=find_packed(project, graph) if packs else {},
            machine=machine if TIMED in node.tags else {},
            raw={name: content for name, content in raw.items() if name in read},
        )
    return found


def data_only(names: Iterable[str]) -> list[str]:
    """Return ``names`` without those of parameters."""
    return [name for name in names if not name.startswith(PARAMETERS)]


@cache
def find_versions(modules: frozenset[str]) -> dict[str, str]:
    """Return Python's version and those of the packages that ``modules`` come in, by the packages' names."""
    names = {DISTRIBUTIONS.get(module, module) for module in modules - CARRIERS}
    names |= {brought for module in modules for brought in BRINGS_ALONG.get(module, ())}
    versions = {name.replace("_", "-"): _version(name) for name in sorted(names)}
    return {"python": ".".join(platform.python_version_tuple()[:2]), **versions}


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ", ".join(f"{found} {version(found)}" for found in _distributions().get(name, ())) or "none"


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Module -> the distributions that have it; asked for once, since all that is installed is read for it."""
    return packages_distributions()


def _words(key: str, value: Any) -> list[str]:
    """Return what may name a kind in a parameter: every word of its place and its value.

    A kind may stand anywhere, as in the lists of a search's space; a word too many costs nothing but a run.
    """
    if isinstance(value, dict):
        return [*key.split("."), *(kind for name, inner in value.items() for kind in _words(str(name), inner))]
    if isinstance(value, list | tuple):
        return [*key.split("."), *(kind for inner in value for kind in _words("", inner))]
    return [*key.split("."), str(value)]


def _kinds_in(words: set[str], bracketed: set[str]) -> set[str]:
    """Return the names of kinds that ``words`` may be: of a metric, what stands before its brackets.

    Args:
        bracketed: metrics that are none without brackets: `training.precision` means no metric.
    """
    return {word.partition("[")[0] for word in words if word not in bracketed}


@cache
def find_pins() -> dict[str, str]:
    """Return the versions of all packages that a Bento pins, for any encoder."""
    of_encoders = tuple(sorted({name for encoder in encoder_classes() for name in encoder.REQUIREMENTS}))
    return dict(pin.split("==", 1) for pin in pinned_packages(of_encoders))


def find_packed(project: Path, graph: CodeGraph) -> dict[str, str]:
    """Return the files that a Bento of ``project`` is built from, by their places in it, with their hashes.

    Of Python's, comments, docstrings and formatting do not count.
    """
    try:
        return {place: graph.digest(path) for place, path in context_files(project).items()}
    except PackagingError:  # no Bento is built, which says so itself
        return {}


def taken_parameters(node: Node, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that ``node`` takes, each by its place in the recipe."""
    values: dict[str, Any] = {}
    for name in node.inputs:
        if name.startswith("params:"):
            recipe, *keys = name.removeprefix("params:").split(".")
            value: Any = parameters[recipe]
            for key in keys:
                value = value[key]
            values |= flatten(value, ".".join(keys))
    return values


def _lineages(pipeline: Pipeline) -> dict[str, list[Node]]:
    """Return every node's ancestors, by its name."""
    parents = pipeline.node_dependencies
    lineage: dict[str, set[Node]] = {}
    for node in pipeline.nodes:  # in topological order
        lineage[node.name] = set(parents[node]).union(*(lineage[parent.name] for parent in parents[node]))
    return {name: sorted(nodes) for name, nodes in lineage.items()}


def _roots(node: Node, contents: CatalogContents) -> list[str]:
    """Return where ``node``'s code begins: its function, and what reads its inputs and writes its outputs."""
    roots = [f"{node.func.__module__}:{node.func.__qualname__}"]
    for dataset in filter(None, map(contents.dataset, sorted({*data_only(node.inputs), *node.outputs}))):
        roots += [dataset.code] if hasattr(dataset, "code") else []
        kind = type(dataset)
        if kind.__module__.startswith("thresher."):
            roots.append(f"{kind.__module__}:{kind.__qualname__}")
        else:
            modules = {cls.__module__ for cls in kind.__mro__}
            roots += [module for module in modules if module.partition(".")[0] not in NO_ROOTS]
    return roots
