"""`thresher containerize` says what is missing and what to do, and builds nothing then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.digits_bundle import build_digits_bento

THRESHER = Path(sys.executable).parent / "thresher"

Done = subprocess.CompletedProcess[str]


def thresher(*arguments: str, path: Path, folder: Path | None = None, **environment: str) -> Done:
    """Run a command in ``folder`` where ``path`` alone has programs."""
    variables = {**os.environ, "PATH": str(path), **environment}
    return subprocess.run([THRESHER, *arguments], cwd=folder, env=variables, capture_output=True, text=True, timeout=60)


def containerize(*arguments: str, path: Path, **environment: str) -> Done:
    return thresher("containerize", *arguments, path=path, **environment)


def make_program(folder: Path, name: str, code: int) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)


def check(done: Done, *says: str) -> None:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for words in says:
        assert words in " ".join(done.stderr.split())


def test_without_a_builder(tmp_path: Path) -> None:
    check(containerize(path=tmp_path), "No builder found. Install one of: docker, podman, buildah")
    check(containerize("--builder", "podman", path=tmp_path), "podman is not installed")
    make_program(tmp_path, "docker", 1)
    check(containerize("--builder", "docker", path=tmp_path), "its engine does not answer")


def test_without_a_bento(tmp_path: Path) -> None:
    make_program(tmp_path, "podman", 0)
    check(containerize(path=tmp_path, BENTOML_HOME=str(tmp_path / "home")), "Make one: thresher run RECIPE")


@pytest.mark.parametrize("command", [("containerize",), ("champion", "digits"), ("serve", "digits")], ids="-".join)
def test_without_a_bento_and_a_project(tmp_path: Path, command: tuple[str, ...]) -> None:
    make_program(tmp_path, "podman", 0)
    (folder := tmp_path / "empty").mkdir()
    done = thresher(*command, path=tmp_path, folder=folder, BENTOML_HOME=str(tmp_path / "home"))
    check(done, "There is no Bento yet", "is not inside a Thresher project", "thresher new FOLDER, thresher run RECIPE")


@pytest.mark.slow
def test_an_unknown_recipe_and_a_builder_that_fails(
    tmp_path: Path, float_onnx: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("BENTOML_HOME", str(home))
    bento = build_digits_bento(tmp_path / "bundle", float_onnx)
    make_program(tmp_path, "buildah", 1)
    run = {"path": tmp_path, "BENTOML_HOME": str(home)}
    check(containerize("digit", **run), "No Bento of recipe 'digit'. Did you mean 'digits'?")  # type: ignore[arg-type]
    check(containerize("digits", **run), f"buildah could not build image {bento}; its output is above")  # type: ignore[arg-type]
