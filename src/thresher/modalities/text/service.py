"""What the service says of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thresher.modalities.occlusion import MAX_COPIES, Occlusion, groups
from thresher.modalities.service import ModalityService
from thresher.modalities.text.encoder import TextEncoder


class TextService(ModalityService[TextEncoder]):
    """Words, length and unknown tokens; a text area."""

    WIDGET = Path(__file__).with_name("widget.js")

    def occlude(self, sample: np.ndarray, raw: Any) -> Occlusion:
        """Words are left out; of a text that has no other, the word is made the unknown token."""
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        words = self.encoder.words(text)
        parts = groups(len(words), MAX_COPIES)

        def copy(index: int) -> np.ndarray:
            part = words[parts[index]]
            left = np.delete(sample, np.arange(part[0][1].start, part[-1][1].stop), axis=1)
            return left if left.size else np.full((1, 1), self.encoder.unknown or 0, sample.dtype)

        def tell(drops: np.ndarray) -> dict[str, Any]:
            said = []
            for part, drop in zip(parts, drops.tolist(), strict=True):
                start, end = words[part][0][0].start, words[part][-1][0].stop
                said.append({"text": text[start:end], "start": start, "end": end, "importance": drop})
            return {"importance": said}

        return Occlusion(len(parts), copy, tell)

    def features(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        lengths = self.encoder.model_input.lengths(samples).astype(np.float64)
        unknown = (
            np.zeros(len(samples)) if self.encoder.unknown is None else (samples == self.encoder.unknown).sum(axis=1)
        )
        return {"length": lengths, "unknown_share": unknown / np.maximum(lengths, 1)}

    def form(self) -> dict[str, Any]:
        return {"max_length": self.encoder.max_length}
