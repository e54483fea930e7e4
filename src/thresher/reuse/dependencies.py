"""What every node of a recipe depends on, known before anything runs."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from thresher.machine import describe_machine
from thresher.pipelines.stage import TIMED, model_file
from thresher.reach.index import CodeIndex
from thresher.reuse.fingerprints import ABSENT, CatalogContents
from thresher.reuse.ledger import Dependencies
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
BRINGS_ALONG = {"torch": ("onnxscript",)}
PARAMETERS = ("params:", "parameters")


def find_dependencies(
    recipe: str, pipeline: Pipeline, parameters: Mapping[str, Any], contents: CatalogContents
) -> dict[str, Dependencies]:
    """Return the dependencies of every node of ``pipeline``, which is the whole of ``recipe``.

    Args:
        parameters: the recipes as Kedro knows them, every default written out.
    """
    index = CodeIndex()
    slices = {node.name: _slice(node, parameters) for node in pipeline.nodes}
    lineage = _lineages(pipeline)
    named = {value for value in parameters[recipe]["data"].values() if isinstance(value, str)}
    named.add(model_file(recipe))
    raw = {name: contents.of(name) or ABSENT for name in sorted(named & set(pipeline.inputs()))}
    machine = describe_machine()
    found = {}
    for node in pipeline.nodes:
        family = [*lineage[node.name], node]
        kinds = {kind for member in family for key, value in slices[member.name].items() for kind in _kinds(key, value)}
        reach = index.reach(_roots(node, contents), frozenset(kinds))
        read = {name for member in family for name in member.inputs}
        found[node.name] = Dependencies(
            code=reach.definitions,
            parameters=slices[node.name],
            versions=find_versions(reach.externals),
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


def _kinds(key: str, value: Any) -> list[str]:
    """Return the kinds that ``value`` names: of an optimizer, a model, techniques, or the task itself."""
    last = key.rpartition(".")[2]
    if last == "techniques":
        return [str(kind) for kind in value]
    return [str(value)] if last in ("kind", "task", "architecture") else []


def _slice(node: Node, parameters: Mapping[str, Any]) -> dict[str, Any]:
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
    roots = [f"{node.func.__module__}.{node.func.__qualname__}"]
    for names, method in ((data_only(node.inputs), "load"), (node.outputs, "save")):
        kinds = {type(dataset) for dataset in map(contents.dataset, names) if dataset is not None}
        roots += sorted(f"{kind.__module__}.{kind.__qualname__}.{method}" for kind in kinds)
    return roots
