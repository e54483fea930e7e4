"""The BentoML service: `bentoml serve`, `bentoml build` and the Bento itself load this file."""

from __future__ import annotations

from pathlib import Path

import bentoml
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from bentoml.models import BentoModel
from pydantic import BaseModel, ConfigDict

from thresher.serving.app import create_app
from thresher.serving.bundle import read_bundle, read_bundle_encoder, read_info
from thresher.serving.champion import LABELS, bento_champion, bento_folder, describe_champion, newest_champion
from thresher.serving.container import container_image
from thresher.serving.predictor import Predictor

# `bentoml build` and `bentoml serve` look whether they may report usage before they load this file, and remember the
# answer. They report later, so that what thresher/__init__.py says in the environment counts after all.
do_not_track.cache_clear()


class Arguments(BaseModel):
    """What `--arg NAME=VALUE` can say to `bentoml build` and to `bentoml serve` in the source tree."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | None = None
    """Whose champion; the newest of all where it is not given."""


bento = bento_folder()
champion = bento_champion(bento) if bento else newest_champion(bentoml.use_arguments(Arguments).recipe)
info = read_info(Path(champion.path))
app = create_app()


@bentoml.service(
    name=info.recipe.lower(),
    description=describe_champion(info),
    image=None if bento else container_image(read_bundle_encoder(Path(champion.path))),
    labels={name: getattr(info, name) for name in LABELS},
    workers=1,
)
@bentoml.asgi_app(app)
class Champion:
    """Predicts with the champion of one recipe."""

    model = BentoModel(champion.tag)

    def __init__(self) -> None:
        app.state.predictor = Predictor(read_bundle(Path(self.model.path)))

    @bentoml.on_shutdown
    def close(self) -> None:
        """Let the model end its last batch."""
        app.state.predictor.close()
