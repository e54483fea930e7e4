"""raw samples -> sample table -> report and Data Docs; and the slices of the test split."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from thresher.pipelines.contract.nodes import (
    check_contract,
    check_test_set,
    count_classes,
    cut_slices,
    describe_samples,
    describe_test_set,
    fingerprint_data,
)
from thresher.pipelines.stage import stage_node
from thresher.recipe import Recipe

TAGS = ["contract"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the contract stage of the recipe ``name``."""
    raw = [recipe.data.train, recipe.data.test]
    encoding = f"params:{name}.data.encoding"
    table = [f"{name}.sample_table", f"{name}.fingerprint", f"params:{name}.data.contract", encoding]
    cut = []
    if recipe.selection.slices is not None:
        inputs = [f"{name}.sample_table", f"params:{name}.selection"]
        cut.append(stage_node(cut_slices, inputs, f"{name}.slices", TAGS))
    if recipe.measured_metrics:
        counted = [*raw, f"params:{name}.evaluation.metrics"]
        cut.append(stage_node(count_classes, counted, f"{name}.class_counts", TAGS))
    return Pipeline(
        [
            *cut,
            *(node for key in recipe.data.tests for node in _test_set(name, recipe, key)),
            stage_node(fingerprint_data, raw, f"{name}.fingerprint", TAGS),
            stage_node(describe_samples, [*raw, encoding], f"{name}.sample_table", TAGS),
            stage_node(check_contract, table, [f"{name}.contract_report", f"{name}.data_docs"], TAGS),
        ]
    )


def _test_set(name: str, recipe: Recipe, key: str) -> list[Node]:
    """Return what describes the further test set ``key``, and holds it to the contract."""
    encoding, about = f"params:{name}.data.encoding", f"params:{name}.test_sets.{key}"
    table, checked = f"{name}.{key}.set_table", [f"{name}.{key}.set_report", f"{name}.{key}.set_docs"]
    raw = [recipe.data.train, recipe.data.tests[key], f"{name}.sample_table"]
    contract = [table, f"{name}.fingerprint", f"params:{name}.data.contract", encoding, about]
    return [
        stage_node(describe_test_set, [*raw, encoding, about], table, TAGS, name=f"describe_set_{key}"),
        stage_node(check_test_set, contract, checked, TAGS, name=f"check_set_{key}"),
    ]
