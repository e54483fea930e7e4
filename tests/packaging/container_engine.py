"""Programs that build and run containers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """Programs that build and run images, and the environments that they do it in."""

    builder: str
    runner: str
    for_building: Mapping[str, str]
    for_running: Mapping[str, str]

    def __call__(self, *arguments: str) -> str:
        """Run the runner and return what it printed."""
        command = [self.runner, *arguments]
        environment = {**os.environ, **self.for_running}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
