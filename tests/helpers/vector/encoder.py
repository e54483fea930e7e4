"""Vectors: numbers as they are, checked for their count."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np

from thresher.config import KindConfig
from thresher.errors import InvalidInputError
from thresher.modalities.encoder import Encoder, UnencodableError, is_number, list_of
from thresher.modalities.model_input import ModelInput
from thresher.modalities.samples import Inputs, Samples


class VectorEncoding(KindConfig):
    kind: Literal["vector"] = "vector"


class VectorInput(ModelInput):
    """float32 [N, D]."""

    name: ClassVar[str] = "vector"
    dtype: ClassVar[np.dtype] = np.dtype(np.float32)
    kind: Literal["vector"] = "vector"
    size: int

    @property
    def longest(self) -> tuple[int, ...]:
        return (self.size,)


class VectorEncoder(Encoder):
    NAMES: ClassVar[tuple[str, str]] = ("vector", "vectors")

    kind: Literal["vector"] = "vector"
    size: int

    @classmethod
    def fit(cls, samples: Samples, config: VectorEncoding) -> Self:
        assert isinstance(samples.inputs, np.ndarray)
        return cls(size=samples.inputs.shape[1], class_names=samples.class_names)

    @property
    def model_input(self) -> VectorInput:
        return VectorInput(size=self.size)

    @property
    def expected(self) -> str:
        return f"a list of {self.size} numbers"

    def example(self) -> Any:
        return [0.0] * self.size

    def encode(self, inputs: Inputs) -> np.ndarray:
        assert isinstance(inputs, np.ndarray)
        if inputs.shape[1] != self.size:
            raise UnencodableError(0, f"{inputs.shape[1]} numbers. Expected {self.expected}.")
        return inputs.astype(np.float32)

    def encode_json(self, value: Any) -> np.ndarray:
        if not isinstance(value, list) or len(value) != self.size or not all(map(is_number, value)):
            raise InvalidInputError(f"Expected {self.expected}.")
        return np.array([value], np.float32)

    def json_schema(self) -> dict[str, Any]:
        return list_of({"type": "number"}, self.size)
