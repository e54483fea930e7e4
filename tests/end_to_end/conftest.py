"""Projects that several files share, so that what takes long is done once."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro_project import SMALL, NewProject, Project

BROKEN = {
    "task": "classification",
    "data": {"modality": "imge", "train": "digits.train", "test": "digits.test"},
    "model": {"kind": "cn"},
    "training": {"epochs": 0},
    "candidates": {"half": {"from": "haf", "steps": [{"kind": "finetune"}]}},
}


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> NewProject:
    """Make a project that has, besides the repository's recipes, `small`, and `broken` in four ways."""

    def make(name: str) -> Project:
        project = Project(Path(tmp_path_factory.mktemp(name)) / "project")
        project.write_recipe("small", SMALL)
        project.write_recipe("broken", BROKEN)
        return project

    return make
