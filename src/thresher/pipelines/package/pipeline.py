"""verdict -> challenge -> registered champion -> Bento."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.models import FLOAT
from thresher.pipelines.package.nodes import build_champion_bento, challenge_champion, crown_champion
from thresher.pipelines.stage import TIMED, stage_node
from thresher.recipe import Recipe

TAGS = ["package"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the packaging stage of the recipe ``name``."""
    onnx_files = [f"{name}.{key}.onnx" for key in (FLOAT, *recipe.candidates)]
    verdict, reigning, encoder = f"{name}.verdict", f"{name}.reigning_champion", f"{name}.encoder"
    evaluation = f"params:{name}.evaluation"
    challenge = [verdict, reigning, encoder, recipe.data.test, evaluation, f"params:{name}.selection"]
    crown = [verdict, f"{name}.challenge", reigning, encoder, f"{name}.fingerprint", evaluation]
    return Pipeline(
        [
            stage_node(challenge_champion, [*challenge, *onnx_files], f"{name}.challenge", [*TAGS, TIMED]),
            stage_node(crown_champion, [*crown, f"params:{name}.serving", *onnx_files], f"{name}.champion", TAGS),
            stage_node(build_champion_bento, [f"{name}.champion", "bentofile"], f"{name}.bento", TAGS),
        ]
    )
