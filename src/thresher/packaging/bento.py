"""Puts a model bundle into the BentoML model store, and builds a Bento of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from thresher.packaging.build_context import SERVICE, PackagingError, build_context
from thresher.serving.core.bundle import LABELS, Bundle, model_name, read_bundle, write_bundle
from thresher.serving.core.session import open_session
from thresher.serving.monitoring.challenger import Challenger, read_challenger, write_challenger


def pack(champion: Bundle, project: Path, challenger: Challenger | None = None) -> str:
    """Store ``champion``, build its Bento, which is the newest of its recipe from now on, and return the Bento's tag.

    Args:
        project: whose bentofile.yaml says what a Bento holds.
        challenger: sees a share of the traffic; see `why_unfit`.

    Raises:
        BundleError: ONNX Runtime cannot run a model of theirs.
        PackagingError: BentoML cannot store or build it.
    """
    with tempfile.TemporaryDirectory(prefix="thresher-") as folder:
        write_bundle(Path(folder), champion.onnx_bytes, champion.encoder, champion.info, champion.attachments)
        if challenger:
            write_challenger(Path(folder), challenger)
        stored = store_bundle(Path(folder))
    try:
        return build_bento(champion.info.recipe, project, model=stored)
    except PackagingError:
        _forget(stored)
        raise


def _forget(model: str) -> None:
    """Delete a model from the store: it would be taken for the newest champion, which it did not become."""
    import bentoml

    bentoml.models.delete(model)


def store_bundle(folder: Path) -> str:
    """Put the bundle in ``folder`` into the BentoML model store and return its tag, `thresher-RECIPE:VERSION`.

    Raises:
        BundleError: the bundle is damaged, or ONNX Runtime cannot run its model.
        PackagingError: the recipe's name cannot be a BentoML tag, or the store cannot be written.
    """
    import bentoml

    bundle = read_bundle(folder)
    open_session(bundle)  # a model that cannot be served must not become the newest champion
    info = bundle.info
    labels = {name: str(getattr(info, name)) for name in (*LABELS, "candidate")}
    metadata = info.model_dump(mode="json", exclude_none=True)
    if challenger := read_challenger(folder):
        open_session(challenger.bundle)
        labels["challenger_version"] = challenger.bundle.info.model_version
    try:
        with bentoml.models.create(model_name(info.recipe), labels=labels, metadata=metadata) as model:
            shutil.copytree(folder, model.path, dirs_exist_ok=True)
    except ValueError as error:
        raise PackagingError(f"Recipe '{info.recipe}': {error}. Rename the recipe.") from error
    except OSError as error:
        fix = "Make the folder writable, or name another in the variable BENTOML_HOME."
        raise PackagingError(f"BentoML's store cannot be written: {error}. {fix}") from error
    return str(model.tag)


def build_bento(recipe: str, project: Path, gpu: bool = False, model: str = "") -> str:
    """Build the Bento of a stored champion of ``recipe`` and return its tag, `RECIPE:VERSION`.

    Args:
        project: whose bentofile.yaml says what the Bento holds.
        gpu: whether its image has CUDA.
        model: the champion's tag in the store; by default the newest of the recipe.

    Runs `bentoml build` in a process of its own, since BentoML changes the working directory and keeps the first
    service it loads.

    Raises:
        PackagingError: the project has no sound bentofile.yaml, or what `bentoml build` says is wrong.
    """
    import bentoml

    command = [sys.executable, "-m", "bentoml", "build", "--arg", f"recipe={recipe}"]
    command += [*(["--arg", "gpu=true"] if gpu else []), *(["--arg", f"model={model}"] if model else [])]
    with build_context(project) as folder:
        environment = {**os.environ, "NO_COLOR": "1"}
        done = subprocess.run([*command, str(folder)], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise PackagingError(f"bentoml build of {SERVICE} failed for recipe '{recipe}':\n{done.stderr.strip()[-4000:]}")
    # Asked of the store: what is printed has passed through Rich, which makes a picture of the `:one:` in a tag.
    if not model:
        return str(bentoml.get(f"{recipe}:latest").tag)
    built = [bento for bento in bentoml.list(recipe.lower()) if str(bento.info.all_models[0].tag) == model]
    return str(max(built, key=lambda bento: bento.creation_time).tag)
