"""A project with kinds of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thresher.kinds.registry import PROJECT

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Make a project of files below src/, whose kinds are those of `acme.kinds`; it is the one in use."""

    def write(files: dict[str, str]) -> Path:
        (tmp_path / "pyproject.toml").write_text('[tool.thresher]\nkinds = "acme.kinds"\n')
        for name, text in files.items():
            (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "src" / name).write_text(text, encoding="utf-8")
        monkeypatch.setenv(PROJECT, str(tmp_path))
        monkeypatch.setattr(sys, "path", list(sys.path))
        return tmp_path

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]
