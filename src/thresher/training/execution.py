"""How the same sums are done fastest on this machine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from thresher.config import Config

Auto = Literal["auto"]


class Execution(Config):
    """Each `auto` is decided by a short timed trial before the first training, and the decision kept with the run.

    Give all three for weights that are bit-identical on another day: a trial may come out differently.
    """

    channels_last: bool | Auto = "auto"
    """Whether images lie in memory with their channels last."""
    compile: bool | Auto = "auto"
    """Whether torch.compile makes one program of the network."""
    threads: Annotated[int, Field(ge=1, le=1024)] | Auto = Field(default="auto", union_mode="left_to_right")
    """Of the CPU, for one operation."""
