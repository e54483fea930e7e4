"""The records of this package, which its entry points name."""

from __future__ import annotations

from thresher.kinds import ModelKind, ScheduleKind, TechniqueKind

CLIP_WEIGHTS = TechniqueKind(
    "clip_weights", "more_kinds.clip_weights:ClipWeights", "more_kinds.clip_weights:clip_weights", works_on="network"
)
INVERSE_ROOT = ScheduleKind(
    "inverse_root", "more_kinds.inverse_root:InverseRoot", "more_kinds.inverse_root:inverse_root"
)
EFFICIENTNET_LITE0 = ModelKind(
    "efficientnet_lite0",
    "more_kinds.efficientnet_lite.config:EfficientNetLite0",
    "more_kinds.efficientnet_lite.network:EfficientNetLite0Body",
    takes=("image",),
)
