"""How a recipe is run: `kedro run --fresh`, or `run:` in conf/<env>/parameters.yml and --params."""

from __future__ import annotations

from typing import Literal

from thresher.config import Config

IfRunning = Literal["wait", "fail"]


class RunOptions(Config):
    """What concerns a run and not its outcome."""

    fresh: bool = False
    """Run every selected node, even where results of earlier runs could be reused."""
    if_running: IfRunning = "wait"
    """What to do while another process runs the same recipe."""
