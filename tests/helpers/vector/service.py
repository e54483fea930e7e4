"""What a service says of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers.vector.encoder import VectorEncoder

from thresher.modalities.occlusion import Occlusion
from thresher.modalities.service import ModalityService


class VectorService(ModalityService[VectorEncoder]):
    def occlude(self, sample: np.ndarray, raw: Any) -> Occlusion:
        """Numbers are set to 0."""

        def copy(index: int) -> np.ndarray:
            return np.where(np.arange(self.encoder.size) == index, 0, sample).astype(np.float32)

        return Occlusion(self.encoder.size, copy, lambda drops: {"importance": drops.tolist()})

    def features(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        return {"norm": np.linalg.norm(samples, axis=1)}
