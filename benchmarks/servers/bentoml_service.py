"""BentoML's own JSON API, as its documentation shows it; BENCH_MODEL names the ONNX file."""

from __future__ import annotations

import os

import bentoml
import numpy as np
from in_process import open_model


@bentoml.service(workers=1)
class Plain:
    """Answers an image's probabilities."""

    def __init__(self) -> None:
        self.session, self.name = open_model(os.environ["BENCH_MODEL"])

    @bentoml.api
    async def predict(self, image: list[list[int]]) -> list[float]:
        """Answer JSON with JSON."""
        pixels = np.array(image, np.uint8)[None, None]
        answer: list[float] = self.session.run(None, {self.name: pixels})[0][0].tolist()
        return answer
