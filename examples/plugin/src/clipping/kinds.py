"""The records of this package, which its entry points name."""

from __future__ import annotations

from thresher.kinds import ScheduleKind, TechniqueKind

CLIP_WEIGHTS = TechniqueKind(
    "clip_weights", "clipping.clip_weights:ClipWeights", "clipping.clip_weights:clip_weights", works_on="network"
)
INVERSE_ROOT = ScheduleKind("inverse_root", "clipping.inverse_root:InverseRoot", "clipping.inverse_root:inverse_root")
