"""Programs that tests need and pip does not have."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "apt_for_tests.sh"


def provide(otherwise: str, *packages: str) -> None:
    """Install Debian's ``packages``, of which each has a program of its name, where they are missing and CI allows it.

    Elsewhere the test is skipped, with the reason and how to have it run.
    """
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if all(shutil.which(package, path=path) for package in packages):
        return
    if os.geteuid() != 0 or not os.environ.get("CI"):
        pytest.skip(f"{otherwise}: scripts/apt_for_tests.sh {' '.join(packages)}")
    done = subprocess.run([SCRIPT, *packages], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{otherwise}, and apt-get could not install them: {done.stderr.strip()[-500:]}")
