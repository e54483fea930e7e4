"""The modules of benchmarks/, which are scripts and no package."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType


def import_scripts(project: Path, **modules: str) -> dict[str, ModuleType]:
    """Return key -> module, found as a script there finds it; the folder does not stay among those of imports."""
    folder = str(project / "benchmarks")
    sys.path.insert(0, folder)
    try:
        return {key: import_module(name) for key, name in modules.items()}
    finally:
        sys.path.remove(folder)
