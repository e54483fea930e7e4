"""The registry of kinds: what a recipe can name, from Thresher, installed packages and the project's own code.

A kind is one record: its name, its settings, its implementation and what is true of it. Settings and implementation are
text, `module:name`, and are imported when they are used. So this folder imports nothing that it names.
"""

from __future__ import annotations

from thresher.kinds.record import (
    AugmentationKind,
    CorruptionKind,
    Kind,
    MetricKind,
    ModalityKind,
    ModelKind,
    OptimizerKind,
    ReaderKind,
    ScheduleKind,
    TechniqueKind,
)

__all__ = [
    "AugmentationKind",
    "CorruptionKind",
    "Kind",
    "MetricKind",
    "ModalityKind",
    "ModelKind",
    "OptimizerKind",
    "ReaderKind",
    "ScheduleKind",
    "TechniqueKind",
]
