"""What the service says of series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thresher.modalities.occlusion import CELLS_A_PATCH, MAX_COPIES, Axis, Occlusion, groups, mean_over_patches
from thresher.modalities.series.encoder import SeriesEncoder
from thresher.modalities.service import ModalityService

MAX_WINDOWS = 128
"""What is left of MAX_COPIES goes to the channels."""


class SeriesService(ModalityService[SeriesEncoder]):
    """Windows and channels, length, level and spread; a curve."""

    WIDGET = Path(__file__).with_name("widget.js")

    def occlude(self, sample: np.ndarray, raw: Any) -> Occlusion:
        """Windows of time in all channels, then whole channels, get the channel's mean over the training split."""
        _, num_steps, num_channels = sample.shape
        steps = Axis(num_steps, MAX_WINDOWS - CELLS_A_PATCH + 1)
        channels = groups(num_channels, MAX_COPIES - steps.num_patches) if num_channels > 1 else []
        mean = np.array(self.encoder.mean, sample.dtype)

        def copy(index: int) -> np.ndarray:
            series = sample.copy()
            if index < steps.num_patches:
                series[:, steps.patch(index)] = mean
            else:
                part = channels[index - steps.num_patches]
                series[:, :, part] = mean[part]
            return series

        def tell(drops: np.ndarray) -> dict[str, Any]:
            windows, whole = np.split(drops, [steps.num_patches])
            told = {
                "steps_a_cell": steps.cell,
                "steps_a_patch": CELLS_A_PATCH * steps.cell,
                "replaced_by": mean.tolist(),
                "importance": mean_over_patches(windows).tolist(),
            }
            numbers = [list(range(part.start, part.stop)) for part in channels]
            said = [
                {"channels": own, "names": list(self.encoder.channel_names[own[0] : own[-1] + 1]), "importance": drop}
                for own, drop in zip(numbers, whole.tolist(), strict=True)
            ]
            return {**told, "channel_importance": said} if said else told

        return Occlusion(steps.num_patches + len(channels), copy, tell)

    def features(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        found = {"length": self.encoder.model_input.lengths(samples).astype(np.float64)}
        for channel, name in enumerate(self.encoder.channel_names or range(samples.shape[2])):
            values = samples[:, :, channel].astype(np.float64)
            found[f"level_{name}"] = np.nanmean(values, axis=1)
            found[f"spread_{name}"] = np.nanstd(values, axis=1)
        return found

    def form(self) -> dict[str, Any]:
        names = ("channels", "channel_names", "max_length")
        return {
            **{name: getattr(self.encoder, name) for name in names},
            "may_be_missing": self.encoder.missing == "interpolate",
        }
