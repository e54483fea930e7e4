"""What the service says of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thresher.modalities.image.encoder import ImageEncoder
from thresher.modalities.occlusion import CELLS_A_PATCH, Axis, Occlusion, mean_over_patches
from thresher.modalities.service import ModalityService

MAX_CELLS = 14
"""Along each axis: (14 + 3 - 1)^2 patches are 256."""


class ImageService(ModalityService[ImageEncoder]):
    """Patches, brightness and contrast; a drawing area."""

    WIDGET = Path(__file__).with_name("widget.js")

    def occlude(self, sample: np.ndarray, raw: Any) -> Occlusion:
        """Patches get the mean color of the training split."""
        channels, height, width = self.encoder.model_input.longest
        rows, columns = Axis(height, MAX_CELLS), Axis(width, MAX_CELLS)
        color = np.broadcast_to(np.round(self.encoder.mean).astype(np.uint8), channels)

        def copy(index: int) -> np.ndarray:
            row, column = divmod(index, columns.num_patches)
            image = sample.copy()
            image[:, :, rows.patch(row), columns.patch(column)] = color[:, None, None]
            return image

        def tell(drops: np.ndarray) -> dict[str, Any]:
            grid = mean_over_patches(drops.reshape(rows.num_patches, columns.num_patches))
            cell = [rows.cell, columns.cell]
            patch = [CELLS_A_PATCH * size for size in cell]
            told = {"cell": cell, "patch": patch, "replaced_by": color.tolist(), "importance": grid.tolist()}
            return told if self.encoder.preprocessing is None else {"size": [height, width], **told}

        return Occlusion(rows.num_patches * columns.num_patches, copy, tell)

    def features(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        pixels = samples.reshape(len(samples), -1)
        return {"brightness": pixels.mean(axis=1), "contrast": pixels.std(axis=1)}

    def form(self) -> dict[str, Any]:
        encoder, made = self.encoder, self.encoder.preprocessing
        form = {name: getattr(encoder, name) for name in ("channels", "height", "width", "mean", "background")}
        return form if made is None else {**form, "window": made.window(encoder.height, encoder.width)}
