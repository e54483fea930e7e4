"""What a recipe says of measuring; the code stands in the modules beside."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from thresher.config import Config
from thresher.kinds.metric_names import ComputedMetric

BatchSize = Annotated[int, Field(ge=1, le=65536)]

MetricName = Annotated[str, ComputedMetric()]


class Measurement(Config):
    """The conditions under which every candidate is timed, and later served."""

    threads: int = Field(default=1, ge=1, le=1024)
    """Threads of one ONNX Runtime session."""
    batch_sizes: tuple[BatchSize, ...] = Field(default=(1, 32), min_length=1, max_length=8)
    """Timed one by one; metrics without a batch in their name speak of the first."""
    rounds: int = Field(default=40, ge=10, le=10_000)
    """How often candidate and float model take turns."""
    seconds: float = Field(default=2.0, gt=0, le=600)
    """Time to spend on each batch size, both models together."""
    metrics: tuple[MetricName, ...] = ()
    """Further metrics of quality to report, with their intervals, besides those that `selection` names."""

    @field_validator("batch_sizes")
    @classmethod
    def _each_once(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(sizes)) < len(sizes):
            raise ValueError("a batch size is named twice")
        return sizes
