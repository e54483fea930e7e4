"""The champions in BentoML's model store, where the package stage puts them."""

from __future__ import annotations

from pathlib import Path

import bentoml
from bentoml.exceptions import InvalidArgument, NotFound

from thresher.errors import nearest
from thresher.serving.core.bundle import LABELS, MODEL_PREFIX, ModelInfo, model_name


def newest_champion(recipe: str | None = None, tag: str | None = None) -> bentoml.Model:
    """Return the newest champion of ``recipe``, by default of any recipe, or the one with the ``tag``.

    Raises:
        InvalidArgument: the model store holds none.
    """
    models = [model for model in bentoml.models.list() if model.tag.name.startswith(MODEL_PREFIX)]
    found = [model for model in models if recipe is None or model.tag.name == model_name(recipe)]
    if tag is not None:
        return bentoml.models.get(tag)
    if found:
        return max(found, key=lambda model: model.creation_time)
    stored = {model.info.labels["recipe"] for model in models}
    if recipe is None or not stored:
        raise InvalidArgument("BentoML's model store has no champion. Make one in a project: thresher run RECIPE")
    raise InvalidArgument(
        f"No champion of recipe '{recipe}' in the BentoML model store. {nearest(recipe, stored)} "
        f"Or make one: thresher run {recipe}"
    )


def describe_champion(info: ModelInfo) -> str:
    """Return the Bento's README, in Markdown."""
    rows = [f"- {name}: {getattr(info, name)}" for name in (*LABELS, "candidate")]
    rows += [f"- {name}: {value:.6g}" for name, value in info.metrics.items()]
    title = f"# {info.recipe}\n\nA Thresher champion. `POST /predict` predicts; `GET /` shows how.\n\n"
    return title + "\n".join(rows) + "\n"


def bento_folder() -> Path | None:
    """Return the Bento that this file is part of; None where it runs from the source tree."""
    folder = Path(__file__).resolve().parents[3]  # BENTO/src/thresher/serving/champion.py
    return folder if (folder / "bento.yaml").is_file() else None


def bento_champion(folder: Path) -> bentoml.Model:
    """Return the very model that the Bento in ``folder`` was built with, whatever was trained since.

    Raises:
        NotFound: that model has been deleted from the model store.
    """
    bento = bentoml.Bento.from_path(folder)
    tag = bento.info.all_models[0].tag
    try:
        return bentoml.models.get(tag)
    except NotFound as error:
        raise NotFound(f"Bento {bento.tag} needs model {tag}, which is no longer in the model store.") from error
