"""What a contract can say of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thresher.modalities.description import Description
from thresher.modalities.image.encoder import ImageEncoding
from thresher.modalities.image.parts import in_parts
from thresher.modalities.samples import Samples

if TYPE_CHECKING:
    import pandas as pd


class ImageDescription(Description):
    """What the sample table shows of an image, and what must hold of it."""

    COLUMNS = ("height", "width", "channels", "dtype", "pixel_mean", "pixel_std", "pixel_min", "pixel_max")

    def describe(self, samples: Samples[np.ndarray], encoding: ImageEncoding) -> pd.DataFrame:
        """Return one row a sample with what a contract can say of an image.

        Columns: height, width, channels, dtype, pixel_mean, pixel_std, pixel_min, pixel_max.
        """
        import pandas as pd

        images = samples.inputs
        pixels = images.reshape(len(samples), -1)
        return pd.DataFrame(
            {
                "height": images.shape[2],
                "width": images.shape[3],
                "channels": images.shape[1],
                "dtype": images.dtype.name,
                "pixel_mean": pixels.mean(axis=1, dtype=np.float64),
                "pixel_std": np.concatenate([part.std(axis=1, dtype=np.float64) for part in in_parts(pixels)]),
                "pixel_min": pixels.min(axis=1),
                "pixel_max": pixels.max(axis=1),
            },
            index=range(len(samples)),
        )
