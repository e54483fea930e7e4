"""raw samples -> sample table -> report and Data Docs."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.pipelines.contract.nodes import check_contract, describe_samples, fingerprint_data
from thresher.pipelines.stage import stage_node
from thresher.recipe import Recipe

TAGS = ["contract"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the contract stage of the recipe ``name``."""
    raw = [recipe.data.train, recipe.data.test]
    encoding = f"params:{name}.data.encoding"
    table = [f"{name}.sample_table", f"{name}.fingerprint", f"params:{name}.data.contract", encoding]
    return Pipeline(
        [
            stage_node(fingerprint_data, raw, f"{name}.fingerprint", TAGS),
            stage_node(describe_samples, [*raw, encoding], f"{name}.sample_table", TAGS),
            stage_node(check_contract, table, [f"{name}.contract_report", f"{name}.data_docs"], TAGS),
        ]
    )
