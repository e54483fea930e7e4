"""verdict -> challenge -> registered champion -> Bento."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from thresher.models import FLOAT
from thresher.pipelines.package.nodes import (
    build_champion_bento,
    challenge_champion,
    crown_champion,
    enter_challenger,
)
from thresher.pipelines.stage import TIMED, served_file, stage_node
from thresher.recipe import Recipe

TAGS = ["package"]


def create_pipeline(name: str, recipe: Recipe) -> Pipeline:
    """Return the packaging stage of the recipe ``name``."""
    onnx_files = [served_file(name, key, recipe.calibrate, recipe.decision) for key in (FLOAT, *recipe.candidates)]
    verdict, reigning, encoder = f"{name}.verdict", f"{name}.reigning_champion", f"{name}.encoder"
    evaluation = f"params:{name}.evaluation"
    challenge = [verdict, reigning, f"{name}.set_aside", encoder, recipe.data.test, evaluation]
    challenge += [f"params:{name}.selection", *onnx_files]
    about = [encoder, f"{name}.fingerprint", evaluation, f"params:{name}.serving", f"{name}.training_samples"]
    about += [recipe.data.test, f"{name}.model_card", *onnx_files]
    nodes = [
        stage_node(challenge_champion, challenge, f"{name}.challenge", [*TAGS, TIMED]),
        stage_node(crown_champion, [verdict, f"{name}.challenge", reigning, *about], f"{name}.champion", TAGS),
    ]
    build, shadow = [f"{name}.champion", "bentofile_path"], recipe.serving.shadow
    if shadow:
        build += [f"params:{name}.shadow", f"{name}.version_{shadow.version}"]
    if shadow and shadow.register_loser:
        enter = [verdict, f"{name}.challenge", f"{name}.champion", *about]
        nodes.append(stage_node(enter_challenger, enter, f"{name}.entered_challenger", TAGS))
        build.append(f"{name}.entered_challenger")
    return Pipeline([*nodes, stage_node(build_champion_bento, build, f"{name}.bento", TAGS)])
