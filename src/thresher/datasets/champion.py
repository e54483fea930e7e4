"""The registered champion of a recipe as a Kedro dataset."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from pydantic import ValidationError

from thresher.errors import DataError
from thresher.modalities import read_encoder
from thresher.modalities.encoder import Encoder
from thresher.serving.bundle import Bundle, ModelInfo

INFO_TAGS = ("candidate", "data_hash", "git_commit", "threads", "max_batch_size", "max_latency_ms")
METRIC = "metric."
NOBODY = "nobody"


class ChampionDataset(AbstractDataset[Bundle, "Bundle | None"]):
    """Loads the version with the alias `champion`, None where there is none; saving registers and moves the alias.

    A bundle that already has a version is the reigning champion: saving it changes nothing.
    """

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe

    def load(self) -> Bundle | None:
        """Return the champion.

        Raises:
            DataError: the version was not registered by a Thresher that knows this one's encoders.
        """
        from thresher.tracking import models

        version = models.find_champion(self._recipe)
        if version is None:
            return None
        onnx_file, metadata = models.load_champion(version)
        return Bundle(onnx_file, self._encoder(metadata.get(models.ENCODER)), self._info(version))

    def save(self, data: Bundle) -> None:
        if data.info.model_version:
            return
        from thresher.tracking import models

        model_id = models.provide_candidate(self._recipe, data.info.candidate, data.onnx_bytes, data.encoder)
        tags = {name: str(getattr(data.info, name)) for name in INFO_TAGS}
        tags |= {f"{METRIC}{name}": repr(value) for name, value in data.info.metrics.items()}
        models.register_champion(self._recipe, model_id, tags)

    def fingerprint(self, hash_of: Callable[[Path], str | None]) -> str:
        """Return which version is champion: what it holds never changes.

        Raises:
            TrackingError: the registry cannot be asked.
        """
        from thresher.tracking.run import TRACKING_URI, refusal, registry_is_empty

        if registry_is_empty():
            return NOBODY
        from mlflow import MlflowException

        from thresher.tracking import models

        try:
            version = models.find_champion(self._recipe)
        except MlflowException as error:
            raise refusal(os.environ.get(TRACKING_URI, "its default place"), error) from error
        return f"version {version.version} of {version.source}" if version else NOBODY

    def _encoder(self, document: Any) -> Encoder:
        try:
            return read_encoder(json.dumps(document))
        except ValidationError as error:
            raise DataError(
                f"The champion of {self._recipe} in MLflow's registry has no encoder that can be read. "
                "Fix: take the alias 'champion' from that version; the next run crowns its own winner."
            ) from error

    def _info(self, version: Any) -> ModelInfo:
        tags = version.tags
        metrics = {key.removeprefix(METRIC): float(tags[key]) for key in tags if key.startswith(METRIC)}
        return ModelInfo.model_validate(
            {
                **{name: tags[name] for name in INFO_TAGS},
                "recipe": self._recipe,
                "model_version": str(version.version),
                "mlflow_run_id": version.run_id or "",
                "created": datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
                "metrics": metrics,
            }
        )

    def _exists(self) -> bool:
        from thresher.tracking import models

        return models.find_champion(self._recipe) is not None

    def _describe(self) -> dict[str, Any]:
        return {"recipe": self._recipe}
