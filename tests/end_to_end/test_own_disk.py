"""Whole runs on a file system of their own, which fills up, cannot be written to, and where a project is moved."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kedro_project import TINY, Project

pytestmark = pytest.mark.end_to_end


def mount(folder: Path, options: str) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (done := mount(disk, "size=64m")).returncode:
        pytest.skip(f"this user may not mount a file system: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, timeout=30)


def test_a_full_disk_a_moved_project_and_one_that_cannot_be_written_to(disk: Path) -> None:
    project = Project(disk / "project")
    project.write_recipe("small", TINY)
    assert mount(disk, "remount,size=2m").returncode == 0
    assert "the disk is full. Fix: free some of it" in project.run().failed().text
    assert mount(disk, "remount,size=64m").returncode == 0
    went_on = project.run().succeeded()
    assert "build_champion_bento" in went_on.nodes and "check_contract" not in went_on.nodes
    project.folder = project.folder.rename(disk / "moved")
    assert "The project was moved or copied" in project.run().succeeded().ran_nothing().text
    assert mount(disk, "remount,ro").returncode == 0
    assert "the file system is read-only. Fix: make it writable" in project.run().failed().text
