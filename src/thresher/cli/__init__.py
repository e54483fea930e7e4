"""The `thresher` command, and what `kedro` finds here: Kedro looks for a project's commands in PACKAGE.cli."""

from __future__ import annotations

import importlib
from typing import Any

FOR_KEDRO = ("cli", "run")


def __getattr__(name: str) -> Any:
    """Return Kedro's commands once Kedro asks for them: importing it takes longer than `thresher check`."""
    if name in FOR_KEDRO:
        return getattr(importlib.import_module("thresher.cli.kedro_run"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
