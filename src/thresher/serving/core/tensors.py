"""What the model takes and answers, in the protocol's words; REST and gRPC both read and write through this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresher import __version__
from thresher.errors import InvalidInputError, nearest
from thresher.modalities.decision import choose_classes
from thresher.modalities.encoder import Encoder
from thresher.modalities.outputs import ClassOutput, ValueOutput
from thresher.serving.core.bundle import Bundle
from thresher.serving.core.datatypes import BYTES, NAMES
from thresher.serving.core.decoding import check_count, decode_file, decode_one
from thresher.serving.core.errors import UnknownModelError

PLATFORM = "onnx_onnxv1"
"""What Triton calls an ONNX model under ONNX Runtime."""
LABEL, CLASS_INDEX = "label", "class_index"


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of the model's metadata; -1 in a shape is an axis of any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelTensors:
    """Reads a request's input tensor and makes the tensors of its answer, by the bundle's encoder.

    The input is the model's own tensor, encoded by the caller, or BYTES [N] (also [N, 1]) under the name that the
    typed REST has for one sample: an image file, a text, or a row or series as its JSON. The answer is
    `probabilities` or `value`; `label` and `class_index` are given to those who ask for them.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.name, self.version = bundle.info.recipe, bundle.info.model_version
        encoder = bundle.encoder
        self._encoder, self._input, self._rule = encoder, encoder.model_input, bundle.info.decision
        self._datatype, self._bytes_name = NAMES[self._input.dtype], encoder.NAMES[0]
        self._datatypes = {self._datatype, "FP32"} if self._datatype == "FP64" else {self._datatype}
        """FP32 is taken for FP64, too: no value changes by that."""
        own = TensorInfo(self._input.name, self._datatype, (-1, *(size or -1 for size in self._input.shape)))
        raw = TensorInfo(self._bytes_name, BYTES, (-1,))
        self.inputs = (own,) if own.name == raw.name else (own, raw)
        """What a request may give one of; where both have the same name, the datatype says which it is."""
        self.outputs = _outputs(encoder)

    def check_model(self, name: str, version: str = "") -> None:
        """Check that the model is served; its name is that of the recipe, in any case.

        Raises:
            UnknownModelError: it is not.
        """
        if name.lower() != self.name.lower():
            raise UnknownModelError(f"Unknown model '{name[:100]}'. Served here: {self.name}.")
        if version and version != self.version:
            raise UnknownModelError(f"Unknown version '{version[:100]}' of model {self.name}. Served: {self.version}.")

    def read(
        self, name: str, datatype: str, shape: Sequence[int], read: Callable[[Sequence[int]], np.ndarray]
    ) -> np.ndarray:
        """Return the samples [N, ...] of an input tensor, encoded, N at least 1.

        Args:
            read: makes the array once name, datatype and shape are known to be good.

        Raises:
            InvalidInputError: a wrong name, datatype, shape or value, with what was expected.
            TooLargeError: too many samples.
        """
        self.check_input(name, datatype, shape)
        return self.encode(name, datatype, read(shape))

    def check_input(self, name: str, datatype: str, shape: Sequence[int]) -> None:
        """Check all of an input tensor but its values; see `read`."""
        if datatype in self._datatypes and name == self._input.name:
            self._check_shape(name, shape)
        elif datatype == BYTES and name == self._bytes_name:
            if len(shape) not in (1, 2) or shape[0] < 1 or list(shape[1:]) not in ([], [1]):
                given = f"Input '{name}': shape {list(shape)[:9]} given."
                raise InvalidInputError(f"{given} Expected [N] or [N, 1], N at least 1.")
        else:
            raise InvalidInputError(self._wrong_tensor(name, datatype))
        if shape[0] > 1:
            check_count(shape[0], self._encoder)

    def encode(self, name: str, datatype: str, array: np.ndarray) -> np.ndarray:
        """Return the samples [N, ...] of an input tensor that `check_input` has passed; see `read`."""
        if datatype != BYTES:
            samples = array.astype(self._input.dtype, copy=False)
            self._input.check_values(samples)
            return samples
        decode = decode_file if self._encoder.file_types else decode_one
        items = array.reshape(-1).tolist()
        return self._input.join([decode(f"{name} {index}", item, self._encoder) for index, item in enumerate(items)])

    def check_outputs(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the outputs to answer with; by default the model's own.

        Raises:
            InvalidInputError: one that there is not.
        """
        if not names:
            return (self.outputs[0].name,)
        allowed = [output.name for output in self.outputs]
        for name in names:
            if name not in allowed:
                raise InvalidInputError(f"Unknown output '{name[:100]}'. {nearest(name[:100], allowed)}")
        return tuple(dict.fromkeys(names))

    def answer(self, name: str, outputs: np.ndarray) -> tuple[str, np.ndarray]:
        """Return the datatype and the array of output ``name``, of the model's ``outputs`` [N, K] or [N, 1]."""
        if name == LABEL:
            labels = np.array(self._encoder.class_names, object)
            return BYTES, labels[choose_classes(outputs, self._rule)]
        if name == CLASS_INDEX:
            return "INT64", choose_classes(outputs, self._rule)
        return self.outputs[0].datatype, outputs

    def _check_shape(self, name: str, shape: Sequence[int]) -> None:
        expected = self.inputs[0].shape
        if len(shape) != len(expected) or shape[0] < 1 or not all(map(_fits, shape[1:], expected[1:])):
            raise InvalidInputError(
                f"Input '{name}': shape {list(shape)[:9]} given. Expected {list(expected)}, -1 being one or more."
            )
        longest = self._input.longest
        if any(given > most for given, most in zip(shape[1:], longest, strict=True)):
            raise InvalidInputError(f"Input '{name}': shape {list(shape)} given. A sample has at most {list(longest)}.")

    def _wrong_tensor(self, name: str, datatype: str) -> str:
        own = self.inputs[0]
        return (
            f"Input '{str(name)[:100]}' of {str(datatype)[:20]} given. Expected '{own.name}' of {own.datatype} "
            f"{list(own.shape)}, or '{self._bytes_name}' of BYTES [-1]."
        )


def _fits(given: int, size: int) -> bool:
    return given == size or (size == -1 and given >= 1)


def _outputs(encoder: Encoder) -> tuple[TensorInfo, ...]:
    if not encoder.class_names:
        return (TensorInfo(ValueOutput.name, NAMES[ValueOutput.dtype], (-1, 1)),)
    probabilities = TensorInfo(ClassOutput.name, "FP32", (-1, len(encoder.class_names)))
    return (probabilities, TensorInfo(LABEL, BYTES, (-1,)), TensorInfo(CLASS_INDEX, "INT64", (-1,)))


def server_metadata() -> dict[str, Any]:
    """Return name, version and extensions of the server, as both protocols say them."""
    return {"name": "thresher", "version": __version__, "extensions": ["binary_tensor_data"]}


def model_metadata(tensors: ModelTensors) -> dict[str, Any]:
    """Return what the model takes and answers, as both protocols say it."""

    def document(infos: Sequence[TensorInfo]) -> list[dict[str, Any]]:
        return [{"name": info.name, "datatype": info.datatype, "shape": list(info.shape)} for info in infos]

    return {
        "name": tensors.name,
        "versions": [tensors.version],
        "platform": PLATFORM,
        "inputs": document(tensors.inputs),
        "outputs": document(tensors.outputs),
    }
