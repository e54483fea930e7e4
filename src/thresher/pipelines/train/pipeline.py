"""samples that keep their contract -> split, encoder -> encoded samples -> float model."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.pipelines.stage import stage_node
from thresher.pipelines.train.nodes import encode_samples, fit_encoder, hold_out, train_float
from thresher.recipe import Recipe

TAGS = ["train"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the training stage of the recipe ``name``."""
    raw, held_out, encoder = [recipe.data.train, recipe.data.test], f"{name}.held_out", f"{name}.encoder"
    split = [f"params:{name}.task", f"params:{name}.data.validation", f"params:{name}.training.seed"]
    splits = [f"{name}.training_samples", f"{name}.validation_samples"]
    training = f"params:{name}.training"
    return Pipeline(
        [
            stage_node(hold_out, [raw[0], f"{name}.contract_report", *split], held_out, TAGS),
            stage_node(fit_encoder, [raw[0], held_out, f"params:{name}.data.encoding"], encoder, TAGS),
            stage_node(encode_samples, [*raw, held_out, encoder], [*splits, f"{name}.test_samples"], TAGS),
            stage_node(
                train_float,
                [*splits, encoder, f"params:{name}.model", training],
                [f"{name}.float.network", f"{name}.training_history"],
                TAGS,
            ),
        ]
    )
