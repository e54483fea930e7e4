"""What a service says of one modality beyond its answers: what mattered, what is watched, what its page shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from thresher.errors import InvalidInputError
from thresher.modalities import modality_of
from thresher.modalities.encoder import Encoder
from thresher.modalities.occlusion import Occlusion

EncoderType = TypeVar("EncoderType", bound=Encoder)


class ModalityService(Generic[EncoderType]):
    """Base: a modality without its own explains nothing, watches no input, and is typed as JSON into the page."""

    WIDGET = Path(__file__).with_name("widget.js")
    """The script of the page's form. Its `createInput` makes the element, the request and the explanation."""

    def __init__(self, encoder: EncoderType) -> None:
        self.encoder = encoder

    def occlude(self, sample: np.ndarray, raw: Any) -> Occlusion:
        """Return the copies of ``sample``, encoded [1, ...], that lack a part each, at most MAX_COPIES.

        Args:
            raw: the sample as it was sent: a value of a JSON document, or the bytes of a file.

        Raises:
            InvalidInputError: this modality has no parts to leave out.
        """
        raise InvalidInputError(f"Nothing explains the answer to {self.encoder.NAMES[0]} input.")

    def features(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Return what drift is watched in, of encoded ``samples`` [N, ...], each float64 [N], by its name."""
        return {}

    def num_codes(self) -> dict[str, int]:
        """Return how many codes a feature has, for each that is one of categories and not a number."""
        return {}

    def form(self) -> dict[str, Any]:
        """Return what the widget needs to know of the encoder, as a JSON document."""
        return {}


def service_of(encoder: Encoder) -> ModalityService[Any]:
    """Return what the service says of the inputs of ``encoder``."""
    service: ModalityService[Any] = modality_of(encoder).load("service")(encoder)
    return service
