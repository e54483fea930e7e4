"""evaluations -> verdict -> plot and model card."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.models import FLOAT
from thresher.pipelines.select.nodes import draw_verdict, judge_candidates, write_model_card
from thresher.pipelines.stage import stage_node
from thresher.pipelines.train.pipeline import model_settings, training_settings
from thresher.recipe import Recipe

TAGS = ["select"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the selection stage of the recipe ``name``."""
    evaluations = [f"{name}.{key}.evaluation" for key in (FLOAT, *recipe.candidates)]
    judged = [f"params:{name}.name", f"params:{name}.selection", *evaluations]
    trained = [model_settings(name, recipe), training_settings(name, recipe), f"params:{name}.training"]
    card = [f"{name}.verdict", f"{name}.fingerprint", f"params:{name}.description", *trained]
    return Pipeline(
        [
            stage_node(judge_candidates, judged, f"{name}.verdict", TAGS),
            stage_node(draw_verdict, [f"{name}.verdict"], f"{name}.verdict_plot", TAGS),
            stage_node(write_model_card, card, f"{name}.model_card", TAGS),
        ]
    )
