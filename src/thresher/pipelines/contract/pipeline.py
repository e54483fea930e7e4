"""raw samples -> sample table -> report and Data Docs; and the slices of the test split."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.pipelines.contract.nodes import (
    check_contract,
    count_classes,
    cut_slices,
    describe_samples,
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
            stage_node(fingerprint_data, raw, f"{name}.fingerprint", TAGS),
            stage_node(describe_samples, [*raw, encoding], f"{name}.sample_table", TAGS),
            stage_node(check_contract, table, [f"{name}.contract_report", f"{name}.data_docs"], TAGS),
        ]
    )
