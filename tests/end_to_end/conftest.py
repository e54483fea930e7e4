"""Projects that several files share, so that what takes long is done once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from kedro_project import SMALL, NewProject, Project

SOURCES = ".thresher/sources.json"
BROKEN = {
    "task": "classification",
    "data": {"modality": "imge", "train": "digits.train", "test": "digits.test"},
    "model": {"kind": "cn"},
    "training": {"epochs": 0},
    "candidates": {"half": {"from": "haf", "steps": [{"kind": "finetune"}]}},
}


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> NewProject:
    """Make a project that has, besides the repository's recipes, `small`, and `broken` in four ways.

    What modules say, which is kept by the hash of their content, it takes from the projects before it.
    """
    made: list[Path] = []

    def make(name: str) -> Project:
        project = Project(Path(tmp_path_factory.mktemp(name)) / "project")
        project.write_recipe("small", SMALL)
        project.write_recipe("broken", BROKEN)
        for kept in (folder / SOURCES for folder in made):
            if kept.exists():
                (project.folder / SOURCES).parent.mkdir()
                shutil.copyfile(kept, project.folder / SOURCES)
                break
        made.append(project.folder)
        return project

    return make
