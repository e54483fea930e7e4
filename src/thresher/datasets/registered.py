"""A version in MLflow's registry as a bundle, and a bundle as a version.

`tracking.models` is imported within functions: with it comes MLflow, which takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from thresher.errors import DataError
from thresher.modalities import read_encoder
from thresher.modalities.encoder import Encoder
from thresher.serving.core.bundle import SERVED_BY, Bundle, ModelInfo, hash_content
from thresher.tracking.history import RUN, Alias, move_alias
from thresher.tracking.metric_names import from_mlflow, to_mlflow
from thresher.tracking.run_context import TrackingError, current, written_whole
from thresher.tracking.server import is_away, refusal

INFO_TAGS = ("candidate", "data_hash", "git_commit", "threads", "max_batch_size", "max_latency_ms")
LATER_TAGS = ("timeout_ms", "workers", "execution")
"""Tags of the model's info that have a value only in versions of later releases."""
DECISION = "decision"
"""The tag with the rule of a model's classes, as JSON, where it has one."""
METRIC = "metric."
NOBODY = "nobody"


def load_bundle(version: Any) -> Bundle:
    """Return the bundle of MLflow's ``version``.

    Raises:
        DataError: the version was not registered by a Thresher that knows this one's encoders, or is not what it was
            then.
    """
    from thresher.tracking import models

    missing = [name for name in INFO_TAGS if name not in version.tags]
    if missing:
        what = f"Version {version.version} of {version.name} was not registered by Thresher"
        raise DataError(f"{what}: it has no tag '{missing[0]}'. Fix: choose another version.")
    onnx_file, metadata, attachments = models.load_version(version)
    encoder = _encoder(version, metadata.get(models.ENCODER))
    models.check_content(version, onnx_file, encoder)
    return Bundle(onnx_file, encoder, _info(version), attachments)


def register_bundle(recipe: str, bundle: Bundle, alias: Alias) -> None:
    """Give the alias to the version of ``recipe`` that is ``bundle``: one that is there already, or the next."""
    with written_whole():
        _register(recipe, bundle, alias)


def _register(recipe: str, bundle: Bundle, alias: Alias) -> None:
    from thresher.tracking import models

    content = hash_content(bundle.onnx_bytes, bundle.encoder)
    if number := _find_same(recipe, bundle, content):
        move_alias(recipe, number, RUN, bundle.reason, alias)
        return
    info = bundle.info
    model_id = models.provide_candidate(recipe, info.candidate, bundle.onnx_bytes, bundle.encoder, check_file=True)
    tags = {name: str(getattr(info, name)) for name in INFO_TAGS}
    tags |= {name: str(value) for name in LATER_TAGS if (value := getattr(info, name)) is not None}
    tags |= {DECISION: info.decision.model_dump_json()} if info.decision else {}
    tags |= {f"{METRIC}{to_mlflow(name)}": repr(value) for name, value in info.metrics.items()}
    tags[models.CONTENT] = content
    models.register(recipe, model_id, tags | models.attach(model_id, bundle.attachments), alias, bundle.reason)


def _find_same(recipe: str, bundle: Bundle, content: str) -> str:
    """Return the number of the newest version that is the same model, served and called the same; or nothing."""
    from thresher.tracking import models

    same = ("candidate", "data_hash", *SERVED_BY)
    for version in reversed(models.list_versions(recipe)):
        if version.tags.get(models.CONTENT) != content:
            continue
        try:
            there = load_bundle(version)
        except DataError:  # its files are gone or altered: a new version has them again
            continue
        if all(getattr(there.info, name) == getattr(bundle.info, name) for name in same):
            return str(version.version)
    return ""


def read_metrics(version: Any) -> dict[str, float]:
    """Return what the evaluation measured of MLflow's ``version``."""
    tags = version.tags
    return {from_mlflow(key.removeprefix(METRIC)): float(tags[key]) for key in tags if key.startswith(METRIC)}


def name_version(version: Any | None) -> str:
    """Return a text that is another one for another version: what a version holds never changes."""
    return f"version {version.version} of {version.source}" if version else NOBODY


@contextmanager
def asking_registry() -> Iterator[None]:
    """Turn what MLflow raises in the block into a TrackingError."""
    from mlflow import MlflowException

    try:
        yield
    except MlflowException as error:
        raise refusal(current().tracking_uri or "its default place", error) from error


def ask_registry(ask: Callable[[], str]) -> str | None:
    """Return what ``ask`` gives; None where the server went away within a run, which goes on as far as it can without.

    Raises:
        TrackingError: the registry cannot be asked.
    """
    try:
        with asking_registry():
            return ask()
    except TrackingError as error:
        if current().run_id and is_away(error):
            return None
        raise


def _encoder(version: Any, document: Any) -> Encoder:
    try:
        return read_encoder(json.dumps(document))
    except ValidationError as error:
        aliases = " and ".join(f"'{alias}'" for alias in version.aliases) or "'champion'"
        raise DataError(
            f"Version {version.version} of {version.name} in MLflow's registry has no encoder that can be read. "
            f"Fix: remove the alias {aliases} from that version; the next run crowns its own winner."
        ) from error


def _info(version: Any) -> ModelInfo:
    tags = version.tags
    return ModelInfo.model_validate(
        {
            **{name: tags[name] for name in INFO_TAGS},
            **{name: tags[name] for name in LATER_TAGS if name in tags},
            DECISION: json.loads(tags.get(DECISION, "null")),
            "recipe": version.name,
            "model_version": str(version.version),
            "mlflow_run_id": version.run_id or "",
            "created": datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
            "metrics": read_metrics(version),
        }
    )
