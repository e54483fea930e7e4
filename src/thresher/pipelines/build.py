"""One recipe, one Kedro pipeline: all stages over the catalog."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.pipelines.compress.pipeline import create_pipeline as compress
from thresher.pipelines.contract.pipeline import create_pipeline as contract
from thresher.pipelines.evaluate.pipeline import create_pipeline as evaluate
from thresher.pipelines.package.pipeline import create_pipeline as package
from thresher.pipelines.select.pipeline import create_pipeline as select
from thresher.pipelines.train.pipeline import create_pipeline as train
from thresher.recipe import Recipe

STAGES = (contract, train, compress, evaluate, select, package)


def build_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the whole pipeline of the recipe ``name``."""
    return sum((stage(name, recipe) for stage in STAGES), Pipeline([]))
