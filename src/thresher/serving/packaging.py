"""From a model bundle to the BentoML model store, and from there to a Bento."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from thresher.errors import ThresherError
from thresher.serving.bundle import read_bundle
from thresher.serving.session import open_session

SERVICE = "thresher.serving.service:Champion"
"""What bentofile.yaml packs; named here, it makes whatever builds a Bento depend on the code of the service."""
PROJECT = Path(__file__).resolve().parents[3]


class PackagingError(ThresherError):
    """A bundle that BentoML cannot store, or a Bento that cannot be built."""


def store_bundle(folder: Path) -> str:
    """Put the bundle in ``folder`` into the BentoML model store and return its tag, `thresher-RECIPE:VERSION`.

    Raises:
        BundleError: the bundle is damaged, or ONNX Runtime cannot run its model.
        PackagingError: the recipe's name cannot be a BentoML tag.
    """
    import bentoml

    from thresher.serving.champion import LABELS, model_name

    bundle = read_bundle(folder)
    open_session(bundle)  # a model that cannot be served must not become the newest champion
    info = bundle.info
    labels = {name: str(getattr(info, name)) for name in (*LABELS, "candidate")}
    metadata = info.model_dump(mode="json")
    try:
        with bentoml.models.create(model_name(info.recipe), labels=labels, metadata=metadata) as model:
            shutil.copytree(folder, model.path, dirs_exist_ok=True)
    except ValueError as error:
        raise PackagingError(f"Recipe '{info.recipe}': {error}. Rename the recipe.") from error
    return str(model.tag)


def build_bento(recipe: str) -> str:
    """Build the Bento of the newest stored champion of ``recipe`` and return its tag, `RECIPE:VERSION`.

    Runs `bentoml build` in a process of its own, since BentoML changes the working directory and keeps the first
    service it loads.

    Raises:
        PackagingError: what `bentoml build` says is wrong.
    """
    import bentoml

    if not (PROJECT / "bentofile.yaml").is_file():
        raise PackagingError(f"No bentofile.yaml in {PROJECT}. Run thresher from its source tree.")
    command = [sys.executable, "-m", "bentoml", "build", "--arg", f"recipe={recipe}", str(PROJECT)]
    done = subprocess.run(command, cwd=PROJECT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise PackagingError(f"bentoml build of {SERVICE} failed for recipe '{recipe}':\n{done.stderr.strip()[-4000:]}")
    # Asked of the store: what is printed has passed through Rich, which makes a picture of the `:one:` in a tag.
    return str(bentoml.get(f"{recipe}:latest").tag)
