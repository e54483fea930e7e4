"""The model as MLflow loads it: rows, images, texts or series in a DataFrame, and the answers in another."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from thresher.exported.predictor import Predictor


class RefusedError(MlflowException, ValueError):
    """A sample that the model cannot take. `mlflow models serve` answers in the words of MLflow's own errors alone."""


class RawModel:
    """Takes what the service takes: a column for each of a table's, or one of images, texts or series."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def predict(self, data: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the answers: label, class_index and probability_CLASS for each class, or value.

        Raises:
            RefusedError: a ValueError for a sample that the model cannot take.
        """
        try:
            answers = self.predictor.predict(read_samples(self.predictor.encoder, data))
        except ValueError as error:
            raise RefusedError(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        return pd.DataFrame([flatten(answer) for answer in answers], index=data.index)


def read_samples(encoder: dict[str, Any], data: pd.DataFrame) -> list[Any]:
    """Return the rows of ``data`` as JSON would write them."""
    if encoder["kind"] != "tabular":
        return [plain(value) for value in data.iloc[:, 0]]
    columns = {str(name): [plain(value) for value in column.astype(object)] for name, column in data.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def plain(value: Any) -> Any:
    """Return a value of a DataFrame as JSON would write it: None where it is missing, dates as ISO 8601 has them."""
    if isinstance(value, np.generic):
        value = value.item()
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def flatten(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with a column for each probability."""
    flat = {name: value for name, value in answer.items() if name != "probabilities"}
    return flat | {f"probability_{name}": value for name, value in answer.get("probabilities", {}).items()}


def _load_pyfunc(folder: str, settings: dict[str, Any]) -> RawModel:
    """Return the model of a folder that MLflow has; ``settings`` are its threads and batch size."""
    metadata = Model.load(folder).metadata or {}
    predictor = Predictor(Path(folder), metadata["encoder"], dict(settings))
    rule = predictor.session.get_modelmeta().custom_metadata_map.get("thresher.decision")
    predictor.info["decision"] = rule and json.loads(rule)
    return RawModel(predictor)
