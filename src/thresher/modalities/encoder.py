"""The base of all encoders: what turns raw input into the model's one tensor, everywhere alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from thresher.config import Config, KindConfig
from thresher.errors import InvalidInputError
from thresher.modalities.model_input import ModelInput
from thresher.modalities.samples import Inputs, Samples


class UnencodableError(InvalidInputError):
    """One raw input among many that cannot be encoded."""

    def __init__(self, index: int, text: str) -> None:
        super().__init__(text)
        self.index = index

    def __reduce__(self) -> tuple[type, tuple[int, str]]:
        # Exceptions with their own signature must say how to cross a process border (ParallelRunner).
        return (type(self), (self.index, str(self)))


def is_number(value: Any) -> bool:
    """Return whether ``value`` of a JSON document is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class _Classes(Config):
    class_names: tuple[str, ...]
    """The names of the classes in the order of the model's outputs; empty for a regression."""


# The classes come before the kind in JSON: the registry knows champions of before by the hash of that text.
class Encoder(KindConfig, _Classes):
    """Turns raw inputs into the model's input.

    Fitted on the training split and stored as JSON beside the ONNX file, so that training, evaluation, calibration
    and service run this same code.
    """

    NAMES: ClassVar[tuple[str, str]]
    """What one raw input and several are called in a request, such as image and images."""
    REQUIREMENTS: ClassVar[tuple[str, ...]] = ()
    """Distributions that encoding needs besides numpy and pydantic."""
    NOT_ENCODED: ClassVar[tuple[str, ...]] = ()
    """Fields that do not change what `encode` gives: the ONNX graph has them, or an example."""

    @classmethod
    def fit(cls, samples: Samples[Any], config: Any) -> Self:
        """Return the encoder for inputs like the raw ``samples``, which are the training split's.

        Args:
            config: the modality's own section `data.encoding` of the recipe.
        """
        raise NotImplementedError

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], folder: str, config: Any, samples: Samples[Any]) -> Self:
        """Return the encoder that a pretrained model brings along.

        Args:
            files: of the model's folder, by their names.
            folder: its name, for errors.
            config: the modality's own section `data.encoding` of the recipe.
            samples: raw ones of the training split.

        Raises:
            DataError: files that no encoder can be made of.
        """
        raise NotImplementedError

    @property
    def task(self) -> str:
        """classification or regression."""
        return "classification" if self.class_names else "regression"

    @property
    def model_input(self) -> ModelInput:
        """What `encode` makes."""
        raise NotImplementedError

    @property
    def expected(self) -> str:
        """What one raw input must be, in words."""
        raise NotImplementedError

    def encode(self, inputs: Inputs) -> np.ndarray:
        """Return raw inputs [N] as the model's input [N, ...].

        Raises:
            UnencodableError: an input that cannot be encoded, by its index.
        """
        raise NotImplementedError

    def encode_json(self, value: Any) -> np.ndarray:
        """Return one raw input, as a JSON document writes it, as the model's input [1, ...].

        Raises:
            InvalidInputError: a wrong shape, type or range, with what was expected.
        """
        raise NotImplementedError

    def encode_file(self, content: bytes) -> np.ndarray:
        """Return one raw input as the body of a request, not in JSON, as the model's input [1, ...]."""
        raise NotImplementedError

    @property
    def file_types(self) -> tuple[str, ...]:
        """Content types that `encode_file` reads; none where there are none."""
        return ()

    def example(self) -> Any:
        """Return one valid raw input as a JSON document writes it."""
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of one raw input; it may allow more than `encode_json` does."""
        return {}

    def write_json(self, inputs: Any, index: int) -> Any:
        """Return the raw sample ``index`` of ``inputs`` as a JSON document writes it."""
        return np.asarray(inputs[index]).tolist()

    def write_file(self, value: Any) -> tuple[str, bytes] | None:
        """Return a raw input, given as a JSON document writes it, as a file that is far shorter, with its content type.

        None where JSON is as short.
        """
        return None


def list_of(items: dict[str, Any], length: int | None = None) -> dict[str, Any]:
    """Return the JSON schema of a list of ``items``, of ``length`` of them where it is given."""
    exactly = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": items, **exactly}
