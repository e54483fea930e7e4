"""The champion of a recipe in this process, with the same answers as its service."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thresher.errors import DataError, InvalidInputError
from thresher.registry.project import RecipeProject, open_recipes
from thresher.registry.promotion import load_version
from thresher.registry.versions import RegistryError, read_registered
from thresher.serving.core.bundle import Bundle, ModelInfo
from thresher.serving.core.decoding import decode_file, decode_json, encode_json
from thresher.serving.core.predictions import all_finite, list_predictions, not_finite
from thresher.serving.core.session import Session, open_session

Prediction = dict[str, Any]
"""`label`, `class_index` and `probabilities` by class; of a regression `value`."""


class ChampionModel:
    """The registered champion of a recipe, with its encoder. Not for two threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @property
    def info(self) -> ModelInfo:
        """Where the model comes from: its recipe, candidate, version, MLflow run, and what its evaluation measured."""
        return self._bundle.info

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of the probabilities; empty for a regression."""
        return self._bundle.encoder.class_names

    @property
    def expected(self) -> str:
        """What one sample is, in words."""
        return self._bundle.encoder.expected

    def predict(self, samples: Sequence[Any]) -> list[Prediction]:
        """Return one prediction a sample.

        Args:
            samples: each as the service takes it in JSON: nested lists or an array of an image or a series, a text, or
                a mapping of a row's columns.

        Raises:
            InvalidInputError: there is none, or one is not what the model takes; with its place.
        """
        if isinstance(samples, str | bytes | dict) or len(samples) == 0:
            raise InvalidInputError(f"A list of one or more samples is expected. Each is {self.expected}.")
        encoder, plain = self._bundle.encoder, (each.tolist() if hasattr(each, "tolist") else each for each in samples)
        encoded = [encode_json(sample, encoder, f"Sample {place}: ") for place, sample in enumerate(plain)]
        return self._answer(encoder.model_input.join(encoded))

    def predict_file(self, path: str | Path) -> list[Prediction]:
        """Return the predictions for a file as the service takes it: JSON of one or many samples, a picture or a text.

        Raises:
            DataError: it cannot be read.
            RequestError, InvalidInputError: its content is not what the model takes.
        """
        path, encoder = Path(path), self._bundle.encoder
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}. Fix: name a file that can be read.") from error
        is_json = path.suffix.lower() == ".json"
        if not is_json and not encoder.file_types:
            scored = f"thresher predict {self.info.recipe} --in {shlex.quote(str(path))} --out answers.parquet"
            raise DataError(f"{path}: takes one sample, or a list of some, as .json. Fix: {scored} takes tables.")
        return self._answer(decode_json(content, encoder) if is_json else decode_file(path.name, content, encoder))

    @cached_property
    def _session(self) -> Session:
        return open_session(self._bundle)

    def _answer(self, encoded: np.ndarray) -> list[Prediction]:
        size = self.info.max_batch_size
        batches = [encoded[start : start + size] for start in range(0, len(encoded), size)]
        outputs = np.concatenate([self._session.run(batch) for batch in batches])
        if not all_finite(outputs):
            raise not_finite(outputs, self._bundle.encoder)
        return list_predictions(outputs, self._bundle.encoder, self.info.decision)


def load_champion(folder: Path, recipe: str, environment: str | None = None) -> ChampionModel:
    """Return the champion of ``recipe`` that the MLflow of the project in ``folder`` has registered.

    Raises:
        RegistryError: there is no such recipe, or it has no champion; with what to do.
        BundleError: the champion's model cannot be run here.
    """
    with open_recipes(folder, environment) as project:
        return ChampionModel(read_champion(recipe, project))


def read_champion(recipe: str, project: RecipeProject) -> Bundle:
    """Return the champion of ``recipe`` that the open ``project`` has registered; raises as `load_champion` does."""
    registered = read_registered(recipe, project.names)
    if registered.champion not in registered.versions:
        fix = f"Fix: thresher promote {recipe} VERSION --reason TEXT, or run it again"
        raise RegistryError(f"Recipe {recipe}: no registered version is champion. {fix}.")
    return load_version(registered.versions[registered.champion])
