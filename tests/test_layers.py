"""The house rules that tools can hold: one-way imports, style, types."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("command", ["lint-imports", "ruff check", "ruff format --check", "mypy"])
def test_the_project_is_clean(command: str, project: Path) -> None:
    program, *arguments = command.split()
    tool = Path(sys.executable).parent / program
    done = subprocess.run([tool, *arguments], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
