"""samples that keep their contract -> splits, encoder -> float model."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.pipelines.stage import stage_node
from thresher.pipelines.train.nodes import fit_encoder, split_samples, train_float
from thresher.recipe import Recipe

TAGS = ["train"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the training stage of the recipe ``name``."""
    data = [recipe.data.train, recipe.data.test, f"{name}.contract_report"]
    split = [f"params:{name}.data.validation", f"params:{name}.training.seed"]
    splits = [f"{name}.training_samples", f"{name}.validation_samples"]
    training = f"params:{name}.training"
    return Pipeline(
        [
            stage_node(split_samples, [*data, *split], [*splits, f"{name}.test_samples"], TAGS),
            stage_node(fit_encoder, splits[:1], f"{name}.encoder", TAGS),
            stage_node(
                train_float,
                [*splits, f"{name}.encoder", f"params:{name}.model", training],
                [f"{name}.float.network", f"{name}.training_history"],
                TAGS,
            ),
        ]
    )
